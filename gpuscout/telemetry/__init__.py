"""Metrics, event-loop delay and usage events: how the operator sees the program from outside."""
