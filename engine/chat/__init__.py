"""Conversations and turns, durable in SQLite."""
