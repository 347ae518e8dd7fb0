"""Footplate's own two themes. The primary colour means one thing: here is where you are, or what is alive.

Textual's accent, which it uses in code, is a calm blue for that reason.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="footplate",
    primary="#f0a552",
    secondary="#8fa3b0",
    accent="#86b7d6",
    warning="#e3c35b",
    error="#f07070",
    success="#8cc48c",
    foreground="#d9dee2",
    background="#0f1316",
    surface="#161b1f",
    panel="#20272c",
    dark=True,
    variables={
        "border": "#f0a552",
        "border-blurred": "#364048",
        "footer-key-foreground": "#f0a552",
        "input-selection-background": "#f0a552 30%",
        "block-cursor-background": "#f0a552",
        "block-cursor-foreground": "#0f1316",
        "block-cursor-text-style": "bold",
        "scrollbar": "#364048",
        "scrollbar-hover": "#4d5a63",
        "scrollbar-active": "#f0a552",
        "scrollbar-background": "#0f1316",
        "scrollbar-background-hover": "#0f1316",
        "scrollbar-background-active": "#0f1316",
    },
)

LIGHT = Theme(
    name="footplate-light",
    primary="#a34a00",
    secondary="#5a6870",
    accent="#1f5f8b",
    warning="#7a5c00",
    error="#b3261e",
    success="#2f6b2f",
    foreground="#23282c",
    background="#fbfaf7",
    surface="#f2f0ea",
    panel="#e6e3da",
    dark=False,
    variables={
        "border": "#a34a00",
        "border-blurred": "#c9c4b8",
        "footer-key-foreground": "#a34a00",
        "input-selection-background": "#a34a00 25%",
        "block-cursor-background": "#a34a00",
        "block-cursor-foreground": "#fbfaf7",
        "block-cursor-text-style": "bold",
        "scrollbar": "#c9c4b8",
        "scrollbar-hover": "#aaa496",
        "scrollbar-active": "#a34a00",
        "scrollbar-background": "#fbfaf7",
        "scrollbar-background-hover": "#fbfaf7",
        "scrollbar-background-active": "#fbfaf7",
    },
)

THEMES = (DARK, LIGHT)
