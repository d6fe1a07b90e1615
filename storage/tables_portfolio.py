"""Tables: portfolios: holdings and their daily snapshots."""
