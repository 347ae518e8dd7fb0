"""Prompts that were computed before: their states in memory and on disk, so that none is computed twice.

Nothing here imports the library; `_prefixes` joins it to a loaded model.
"""
