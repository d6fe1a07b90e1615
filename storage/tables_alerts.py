"""Tables: alerts: rules, what they watch, and the ledger."""
