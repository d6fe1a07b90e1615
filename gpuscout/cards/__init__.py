"""Cards: pure functions from what the domain knows to what Discord shows (layout, embed, plain text)."""
