"""JSON of which the end did not come, closed so that it can be read.

The dispatcher reads so what had come of a plain answer when its client left. Pure functions over bytes.
"""

import re

# A text that is whole, one that is not, a mark, or a number or word; possessive, so that nothing costs a second pass.
_TOKEN = re.compile(
    rb'(?P<text>"[^"\\]*+(?:\\.[^"\\]*+)*+")|(?P<cut>".*)|(?P<mark>[\[\]{},:])|(?P<word>[^\s"\[\]{},:]++)', re.DOTALL
)
_TEXT_SO_FAR = re.compile(
    rb'"[^"\\]*+(?:\\(?:[^u]|u(?![dD][89abAB])[0-9a-fA-F]{4}|u[0-9a-fA-F]{4}\\u[0-9a-fA-F]{4})[^"\\]*+)*+'
)
_CLOSERS = {b"{": b"}", b"[": b"]"}


def closed(source: bytes) -> bytes:
    """Return the beginning of a JSON document as a document of its own.

    A text ends where it was cut; what cannot be told yet is left out: a member without its value, a number that may
    have more digits. What does not begin as an object or an array is returned as it is.
    """
    if source.lstrip()[:1] not in _CLOSERS:
        return source
    open_marks: list[bytes] = []
    end, before = 0, b""  # up to the end it can be read, with what is open closed behind it
    for token in _TOKEN.finditer(source):
        kind, text = token.lastgroup, token[0]
        is_key = before != b":" and open_marks[-1:] == [b"{"]
        if kind == "cut" and not is_key:
            return source[: token.start()] + _text_so_far(text) + _closing(open_marks)
        if kind == "cut" or (kind == "word" and token.end() == len(source)):
            break
        if text in _CLOSERS:
            open_marks.append(text)
        elif text in {b"]", b"}"}:
            open_marks.pop()
        before = text
        if text not in {b",", b":"} and not (is_key and kind == "text"):
            end = token.end()
        if not open_marks:
            break
    return source[:end] + _closing(open_marks)


def _text_so_far(cut: bytes) -> bytes:
    """Return a text without a character, an escape or a pair of them of which a part is missing, and closed."""
    found = _TEXT_SO_FAR.match(cut.decode(errors="ignore").encode())
    return (b'"' if found is None else found[0]) + b'"'


def _closing(open_marks: list[bytes]) -> bytes:
    return b"".join(_CLOSERS[mark] for mark in reversed(open_marks))
