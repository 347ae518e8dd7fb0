"""Models on disk: what they are, and what fits."""
