"""How a request tells which conversation it belongs to; used by every client dialect's `read_head`.

Either the client names the conversation, or what it begins with stands for it: the instructions and the first words of
the user, which are sent again with each turn. Both are kept as hashes only. Nothing here is parsed: the edge has
checked the body to be JSON, and a quote inside a string is always escaped, so that a regular expression cannot take
what a user wrote for a key.
"""

import re

import msgspec

from trunkline.core.hashing import digest64

NAME_BYTES_MAX = 1024
"""What counts of a name; real ones are UUIDs or a few words."""

INSTRUCTIONS_BYTES_MAX = 1024
"""What counts of the instructions. They mostly tell programs apart, and their beginning does."""

WORDS_BYTES_MAX = 2048
"""What counts of the user's first words, so that a long one costs 2 µs like a shorter one. Where a program puts more
than this before what the user really says, its conversations are one for each account."""

SEARCH_BYTES_MAX = 128 * 1024
"""How far the user's first message is looked for, behind instructions that are messages, too: at 0.3 ns a byte."""

_SPACE = rb"[ \t\n\r]*+"
_USER = re.compile(rb'"role"' + _SPACE + rb":" + _SPACE + rb'"user"' + _SPACE + rb"([,}])")
_WORDS = re.compile(
    rb'"(?:text|content|data|url|file_id|file_?[uU]ri)"' + _SPACE + rb":" + _SPACE + rb'"((?:[^"\\]++|\\.)*+)'
    # What follows belongs to the next message.
    + rb'|"role"|\}' + _SPACE + rb"," + _SPACE + rb"\{",
    re.DOTALL,
)  # fmt: skip


def name_digest(name: msgspec.Raw) -> int:
    """Return the hash of a name as the client wrote it, 0 unless it is a string with something in it."""
    view = memoryview(name)
    return digest64(bytes(view[:NAME_BYTES_MAX])) if len(view) > 2 and view[0] == 0x22 else 0


def opening_digest(turns: msgspec.Raw | memoryview | bytes, instructions: msgspec.Raw | bytes = b"") -> int:
    """Return the hash of what a conversation begins with, 0 where no words of a user are found.

    It stays the same when turns are added. Of the user's first message only the words count, not how they are written:
    as a text or as a list with a text, with a mark for the cache or without.

    Args:
        turns: the list of messages, in some dialects with instructions among them; in Gemini also one message alone.
        instructions: where they stand elsewhere.
    """
    view = memoryview(turns)
    found = _USER.search(view, 0, SEARCH_BYTES_MAX)
    if found is None:
        # Gemini's messages need no role, and then the first one is the user's.
        before, words = b"", _words(view, 0)
    else:
        start = found.start()
        before = bytes(view[max(0, start - INSTRUCTIONS_BYTES_MAX) : start])
        words = _words(view, found.end()) if found[1] == b"," else b""
        if not words and not before.rstrip().endswith(b"{"):
            # The role stands behind the words.
            words = bytes(view[max(0, start - WORDS_BYTES_MAX) : start])
    if not words:
        return 0
    return digest64(b"\0".join((memoryview(instructions)[:INSTRUCTIONS_BYTES_MAX], before, words)))


def _words(turns: memoryview, start: int) -> bytes:
    """Return the first words at or behind ``start`` within one message; empty for none."""
    found = _WORDS.search(turns, start, start + WORDS_BYTES_MAX)
    return (found[1] or b"") if found is not None else b""
