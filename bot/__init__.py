"""The process: composition root, command line, Discord client."""
