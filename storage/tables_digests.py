"""Tables: digests: subscriptions and what was sent."""
