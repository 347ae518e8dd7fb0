"""Markdown of models as styled text: cut into pieces that are rendered once, each into lines of a given width."""
