"""How long a sound is, where a provider does not say. In started seconds, at least one, as they are billed.

Called by `transcriptions`. An answer's form is never changed to learn the length: the file is looked at instead
(DIALECTS section 7).
"""

import math
import re
import struct

BYTES_PER_SECOND = 16_000
"""Of compressed speech at 128 kbit/s, for a file whose length nothing tells."""

SECONDS_MAX = 7 * 24 * 3600
"""A longer sound is a broken number: providers take files of some hours at most."""

_RATES = (1_000, 10_000_000)
"""Bytes a second of WAV: from telephone codecs to 8 channels of 32 bits at 192 kHz. Outside, the header is broken."""
_CHUNKS_MAX = 64
_UNCOMPRESSED = frozenset({1, 3, 6, 7, 0xFFFE})
_TIMESTAMP = re.compile(rb"-->[ \t]*+(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,](\d{3})")
_TIMESTAMPS_TRIED_MAX = 16


def started_seconds(value: object) -> int | None:
    """Return a length that a provider states in seconds, also in digits, rounded up; None if it is none.

    Fractions below a millisecond are noise of its arithmetic and start no further second.
    """
    if isinstance(value, str) and len(value) <= 32:
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= SECONDS_MAX:
        return None
    return max(1, math.ceil(round(value, 3)))


def wav_seconds(body: bytes, start: int, end: int) -> int | None:
    """Return the length of a WAV file that stands in a body; None if it is none, or its header cannot be trusted."""
    if end - start < 12 or body[start : start + 4] not in {b"RIFF", b"RF64"} or body[start + 8 : start + 12] != b"WAVE":
        return None
    position = start + 12
    rate = 0
    for _ in range(_CHUNKS_MAX):
        if position + 8 > end:
            return None
        name, size = struct.unpack_from("<4sI", body, position)
        position += 8
        if name == b"fmt " and position + 16 <= end:
            kind, _, samples, stated, block = struct.unpack_from("<HHIIH", body, position)
            rate = samples * block if kind in _UNCOMPRESSED else stated
        elif name == b"data":
            if not _RATES[0] <= rate <= _RATES[1]:
                return None
            # Of a file that was written as a stream the length is a placeholder: 0, or as large as can be.
            there = end - position
            return max(1, -(-(min(size, there) or there) // rate))
        position += size + size % 2
    return None


def last_timestamp_seconds(subtitles: bytes) -> int | None:
    """Return where the last cue of SRT or WebVTT ends; None if none is found."""
    position = len(subtitles)
    for _ in range(_TIMESTAMPS_TRIED_MAX):
        position = subtitles.rfind(b"-->", 0, position)
        if position < 0:
            return None
        found = _TIMESTAMP.match(subtitles, position)
        if found is not None:
            hours, minutes, seconds, milliseconds = (int(number or 0) for number in found.groups())
            return started_seconds(hours * 3600 + minutes * 60 + seconds + milliseconds / 1000)
    return None


def size_seconds(size_bytes: int) -> int:
    """Return an estimate from a file's size."""
    return max(1, -(-size_bytes // BYTES_PER_SECOND))
