"""The worker process and the host's handle on it."""
