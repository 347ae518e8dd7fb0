"""The inside of a child in mode serve: its wire, its loop, and what becomes of one request."""
