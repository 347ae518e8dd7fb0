"""A runtime without a model: answers come from a `*.scripted.toml`, and so do faults. For tests, demos and load."""
