"""A folder per runtime: `spec.py` is pure and host-side; `worker.py` runs in a child and alone imports the library."""
