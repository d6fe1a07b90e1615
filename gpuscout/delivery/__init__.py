"""From jobs to messages: rendered here, sent through a port for each channel."""
