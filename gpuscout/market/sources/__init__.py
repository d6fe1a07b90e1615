"""Market sources: each fetches, validates and hands over observations in one shape."""
