"""Base classes of everything that members click."""
