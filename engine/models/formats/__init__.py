"""Readers of model files: headers only, pure, never a pickle."""
