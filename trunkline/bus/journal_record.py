"""What stands in the journal of a process's usage (`runtime.usage_journal`). Pure.

::

    0             8                    8 + half             8 + 2 * half
    +-------------+--------------------+--------------------+
    |    safe     |  records           |  records           |
    +-------------+--------------------+--------------------+

``safe`` is the number up to which all usage is elsewhere, in network order. Each half is a run of spool records
(`bus.spool_record`) whose payloads begin with their own number; behind it stands what is left of an earlier run.
"""

import struct

from trunkline.bus.spool_record import encode_record, read_records

_NUMBER = struct.Struct("!Q")

HEADER_BYTES = _NUMBER.size


def file_bytes(half_bytes: int) -> int:
    """Return the size of a journal."""
    return HEADER_BYTES + 2 * half_bytes


def half_start(half: int, half_bytes: int) -> int:
    """Return where a half begins: the first is 0, the second 1."""
    return HEADER_BYTES + half * half_bytes


def encode_header(safe: int) -> bytes:
    """Return the bytes at the start of a journal."""
    return _NUMBER.pack(safe)


def encode(number: int, payload: bytes) -> bytes:
    """Return the record of a payload."""
    return encode_record(_NUMBER.pack(number) + payload)


def read(source: bytes) -> list[bytes]:
    """Return the payloads in a journal that are not safe elsewhere, in the order of their numbers.

    Never raises, whatever the bytes: what cannot be read was not written to its end.
    """
    if len(source) < HEADER_BYTES:
        return []
    (safe,) = _NUMBER.unpack_from(source)
    half_bytes = (len(source) - HEADER_BYTES) // 2
    unsafe = {}
    for start in (half_start(half, half_bytes) for half in (0, 1)):
        for payload in read_records(source[start : start + half_bytes]).payloads:
            if len(payload) >= _NUMBER.size:
                (number,) = _NUMBER.unpack_from(payload)
                if number > safe:
                    unsafe[number] = payload[_NUMBER.size :]
    return [unsafe[number] for number in sorted(unsafe)]
