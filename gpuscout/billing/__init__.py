"""Billing: what is sold through Stripe, and what Stripe says about it."""
