"""Footplate's engine: the host process, its children, and the client by which a screen or script reaches them."""
