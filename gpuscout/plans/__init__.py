"""Plans: tiers and their limits."""
