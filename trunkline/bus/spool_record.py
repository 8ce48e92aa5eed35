"""Records of a spool file: what a process writes to disk while JetStream takes no usage (`runtime.spool`). Pure.

::

    0             4             8
    +-------------+-------------+-----------------
    |   length    |   CRC-32    |  payload
    +-------------+-------------+-----------------

Both numbers are in network order; the checksum is that of the length and the payload, so that a hole of zeros, as a
file system may leave behind what was not written in time, is no record.
"""

import struct
import zlib
from typing import NamedTuple

_HEADER = struct.Struct("!II")
_LENGTH = struct.Struct("!I")


class Records(NamedTuple):
    """What a file holds.

    Attributes:
        payloads: of the whole records, in order.
        torn_bytes: length of what stands behind them: a record of which a part is missing, or is not what was
            written, and everything after it.
    """

    payloads: list[bytes]
    torn_bytes: int


def encode_record(payload: bytes) -> bytes:
    """Return the bytes to append to a file."""
    length = _LENGTH.pack(len(payload))
    return _HEADER.pack(len(payload), zlib.crc32(payload, zlib.crc32(length))) + payload


def read_records(source: bytes) -> Records:
    """Return the records of a file, up to the first that is not whole. Never raises, whatever the bytes."""
    payloads = []
    start = 0
    while start + _HEADER.size <= len(source):
        length, checksum = _HEADER.unpack_from(source, start)
        payload = source[start + _HEADER.size : start + _HEADER.size + length]
        if len(payload) < length or zlib.crc32(payload, zlib.crc32(_LENGTH.pack(length))) != checksum:
            break
        payloads.append(payload)
        start += _HEADER.size + length
    return Records(payloads, len(source) - start)
