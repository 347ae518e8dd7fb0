"""Widgets: data in, messages out; none of them knows an engine."""
