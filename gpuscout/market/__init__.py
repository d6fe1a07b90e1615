"""The GPU market: sources, ingest, history and what readers ask of it."""
