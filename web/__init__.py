"""What a browser, a program or a monitor sees: pages, REST, charts, health and metrics."""
