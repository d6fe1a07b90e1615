"""E-mail: only to an address that its owner confirmed, only what he has not declined."""
