"""Reasoning that a provider leaves in ``<think>`` tags inside its text (DIALECTS section 2.5), told from the text.

Used only where the channel says so. The tag counts only at the very beginning: a model that explains the tag in the
middle of its answer must not make the rest of it disappear.
"""

_OPENING = "<think>"
_CLOSING = "</think>"


class ThinkTags:
    """Takes the text of one choice in pieces of any size; returns pairs of whether it is reasoning, and the text."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._state = self._before
        self._held = ""

    def feed(self, text: str) -> list[tuple[bool, str]]:
        """Return what is clear now; the beginning of a tag waits for its end."""
        text = self._held + text
        self._held = ""
        return [(thinking, piece) for thinking, piece in self._state(text) if piece]

    def finish(self) -> list[tuple[bool, str]]:
        """The text has ended; returns what had waited."""
        held, self._held = self._held, ""
        return [(self._state == self._inside, held)] if held else []

    def _before(self, text: str) -> list[tuple[bool, str]]:
        begun = text.lstrip()
        if begun.startswith(_OPENING):
            self._state = self._inside
            return self._inside(begun[len(_OPENING) :])
        if _OPENING.startswith(begun):
            self._held = text
            return []
        self._state = self._after
        return [(False, text)]

    def _inside(self, text: str) -> list[tuple[bool, str]]:
        thought, tag, rest = text.partition(_CLOSING)
        if tag:
            self._state = self._gap
            return [(True, thought), *self._gap(rest)]
        kept = next(
            (size for size in range(min(len(text), len(_CLOSING) - 1), 0, -1) if _CLOSING.startswith(text[-size:])), 0
        )
        self._held = text[len(text) - kept :]
        return [(True, text[: len(text) - kept])]

    def _gap(self, text: str) -> list[tuple[bool, str]]:
        """Between the closing tag and the text stand line ends that belong to neither."""
        text = text.lstrip("\r\n")
        if text:
            self._state = self._after
        return [(False, text)]

    def _after(self, text: str) -> list[tuple[bool, str]]:
        return [(False, text)]
