"""Grammars (GBNF) that answers are held to: from JSON schemas and for tool calls."""
