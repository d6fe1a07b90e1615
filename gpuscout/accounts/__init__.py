"""Members and servers: what they chose, how long it is kept, and how it is erased."""
