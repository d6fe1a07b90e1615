"""Alembic environment and revisions; run through :mod:`storage.migrate`."""
