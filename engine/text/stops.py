"""Stop strings: found across chunks, and never leaked in part."""

from __future__ import annotations

from collections.abc import Iterable


def partial_suffix(text: str, word: str) -> int:
    """Length of the longest end of `text` that is a beginning of `word`, but not the whole of it."""
    for size in range(min(len(text), len(word) - 1), 0, -1):
        if text.endswith(word[:size]):
            return size
    return 0


class StopScanner:
    """Passes text through up to the stop string that is complete first.

    Only what may still become a stop string is held back. Where two are complete at the same character, the longer one
    counts.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False
        """A stop string was found; everything after it is dropped."""
        self.dropped = ""
        """The stop string that was found, and what had come with it."""

    def feed(self, text: str) -> str:
        """The part of the text so far that is safe to show."""
        if self.stopped or not text:
            return ""
        if not self._stops:
            return text
        text = self._held + text
        found = [(text.find(stop) + len(stop), text.find(stop)) for stop in self._stops if stop in text]
        if found:
            self.stopped, self._held = True, ""
            cut = min(found)[1]
            self.dropped = text[cut:]
            return text[:cut]
        keep = max(partial_suffix(text, stop) for stop in self._stops)
        cut = len(text) - keep
        self._held = text[cut:]
        return text[:cut]

    @property
    def unsure(self) -> str:
        """The text that is held back, or was dropped."""
        return self.dropped or self._held

    def flush(self) -> str:
        """What was held back, when nothing can complete it any more."""
        held, self._held = self._held, ""
        return held
