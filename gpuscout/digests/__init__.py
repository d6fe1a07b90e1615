"""Digests: what happened since the last one, for a member or a server."""
