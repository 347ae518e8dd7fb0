"""The footer: the keys that work where the focus is."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.commands import COMMANDS, Where, key_name

_ORDER = {command.id: at for at, command in enumerate(COMMANDS)}
_FIRST = {command.id for command in COMMANDS if command.where is not Where.APP}


class KeyBar(Widget):
    """One line of keys; the focused widget's come first, and what has no room is left off."""

    keys: reactive[tuple[tuple[str, str], ...]] = reactive(())
    """Pairs of key and word."""

    def on_mount(self) -> None:
        """Follows the focus."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self.collect())
        self.call_after_refresh(self.collect)

    def collect(self) -> None:
        """Reads the keys that are active now."""
        active = [entry for entry in self.screen.active_bindings.values() if entry.binding.show and entry.enabled]
        ordered = sorted(
            (entry.binding for entry in active if entry.binding.id in _ORDER),
            key=lambda binding: (binding.id not in _FIRST, _ORDER[binding.id or ""]),
        )
        words: dict[str, str] = {}
        for binding in ordered:
            words.setdefault(binding.description, key_name(binding.key))
        self.keys = tuple((key, word) for word, key in words.items())

    def render(self) -> Content:
        """As many keys as fit."""
        parts: list[Content] = []
        width = 0
        for key, word in self.keys:
            width += len(key) + 1 + len(word) + (2 if parts else 0)
            if width > self.size.width:
                break
            parts.append(Content.assemble((key, "$primary"), f" {word}"))
        return Content("  ").join(parts)
