"""Settings, catalogues, texts and logging: what every other room may read."""
