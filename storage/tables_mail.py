"""Tables: e-mail: confirmed addresses, suppressions, sequences and experiments."""
