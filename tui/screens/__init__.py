"""Screens: each brings commands and widgets together."""
