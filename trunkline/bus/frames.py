"""The wire format of a job's frames.

A frame is one NATS message. It opens with 24 bytes in network order::

    0        1        2                 4                               20                24
    +--------+--------+-----------------+-------------------------------+-----------------+----------
    | version|  kind  |      offer      |            job id             |    sequence     |  payload
    +--------+--------+-----------------+-------------------------------+-----------------+----------

``offer`` counts how often the edge has handed the job to a dispatcher; frames of an earlier offer are stale.
``sequence`` counts the frames of one offer in one direction from 0, so that a receiver sees a loss as a gap.
CREDIT and CANCEL are outside that count: CREDIT states a running total and CANCEL a fact, so losing, repeating
or reordering them does no harm (`bus.dispatch_job`).

All frames of one offer are of one version, in both directions: the one in which its edge has written it, which is the
newest that it writes and that whoever may get the offer reads (`bus.fleet`).
"""

import struct
from enum import IntEnum
from typing import NamedTuple

from trunkline.core.ids import JobID

OLDEST_READ = 1
NEWEST_READ = 1
"""Versions of frames from the one to the other are read here; the newest is told in beats (docs/bus-protocol.md)."""

NEWEST_WRITTEN = 1
"""The newest that an offer is made in. A version is read by one release and written by the next, and whatever is read
can be written, too: an offer is answered in its own version."""

HEADER = struct.Struct("!BBH16sI")
HEADER_BYTES = HEADER.size
_U32 = struct.Struct("!I")
_CREDIT = struct.Struct("!QIB")
_VOID = b"\x01"


class Kind(IntEnum):
    """What a frame says. The numbers are on the wire: they are never reused."""

    OPEN = 1
    """Edge to a dispatcher: an offer of a job; envelope and first part of the body."""
    CREDIT = 2
    """Either way: the receiver of DATA or BODY has taken this much in all, and what it expects next."""
    CANCEL = 3
    """Edge to dispatcher: close the upstream call and settle; the payload says whether it is void (`encode_void`)."""
    BODY = 4
    """Edge to dispatcher: the next part of the request body."""

    ACCEPTED = 16
    """Dispatcher to edge: the job is mine; who I am."""
    HEAD = 17
    """Dispatcher to edge: status and headers of the answer."""
    DATA = 18
    """Dispatcher to edge: bytes of the answer's body."""
    END = 19
    """Dispatcher to edge: the answer is complete; its usage."""
    FAIL = 20
    """Dispatcher to edge: the job ended badly. Before ACCEPTED: refused (BUSY)."""
    WHOLE = 21
    """Dispatcher to edge: HEAD, DATA and END in one, for an answer that came in one piece."""


_KINDS = {int(kind): kind for kind in Kind}


class FrameError(Exception):
    """A message that is no frame of a version and kind known here. It is refused and counted."""


class Frame(NamedTuple):
    """One parsed frame."""

    version: int
    kind: Kind
    offer: int
    job: JobID
    seq: int
    payload: bytes


class Credit(NamedTuple):
    """Payload of a CREDIT frame.

    Attributes:
        total: bytes of DATA (or BODY) payload the sender of this credit lets the other send, in all.
        expects: the sequence number it expects next; lets the other side see what was lost.
        sync: it has heard nothing for a while and wants a sign of life; or this is that sign, for a BODY.
    """

    total: int
    expects: int
    sync: bool


def agreed(newest_read: int) -> int:
    """Return the version to write to somebody that reads up to ``newest_read``.

    One that reads nothing of what is read here gets the oldest, which it refuses: there is no better answer.
    """
    return max(OLDEST_READ, min(newest_read, NEWEST_WRITTEN))


def encode(  # noqa: PLR0917 - the fields of `Frame`, in its order
    version: int, kind: Kind, offer: int, job: JobID, seq: int, payload: bytes = b""
) -> bytes:
    """Return the message for a frame."""
    return HEADER.pack(version, kind, offer, job, seq) + payload


def decode(message: bytes) -> Frame:
    """Return the frame in a message.

    Raises:
        FrameError: too short, of a version that is not read here, or of an unknown kind.
    """
    if len(message) < HEADER_BYTES:
        raise FrameError(f"a message of {len(message)} bytes is too short for a frame")
    version, number, offer, job, seq = HEADER.unpack_from(message)
    if not OLDEST_READ <= version <= NEWEST_READ:
        raise FrameError(f"frame version {version}, this process reads {OLDEST_READ} to {NEWEST_READ}")
    kind = _KINDS.get(number)
    if kind is None:
        raise FrameError(f"unknown frame kind {number}")
    # Past the constructor that NamedTuple makes: it is a call of its own, and this runs for each chunk of an answer.
    return tuple.__new__(Frame, (version, kind, offer, job, seq, message[HEADER_BYTES:]))


def encode_credit(credit: Credit) -> bytes:
    """Return the payload of a CREDIT frame."""
    return _CREDIT.pack(credit.total, credit.expects, credit.sync)


def decode_credit(payload: bytes) -> Credit:
    """Return the credit in a CREDIT frame's payload.

    Raises:
        FrameError: the payload has another length.
    """
    if len(payload) != _CREDIT.size:
        raise FrameError(f"a CREDIT payload of {len(payload)} bytes")
    total, expects, sync = _CREDIT.unpack(payload)
    return Credit(total, expects, bool(sync))


def encode_void(*, void: bool) -> bytes:
    """Return the payload of a CANCEL frame.

    Args:
        void: nothing of the answer has reached the client, and not because it left: it pays nothing for this offer.
    """
    return _VOID if void else b""


def decode_void(payload: bytes) -> bool:
    """Return whether a CANCEL frame's payload says void."""
    return payload == _VOID


def join_parts(head: bytes, rest: bytes) -> bytes:
    """Return a payload of two parts: an encoded struct and the raw bytes that follow it."""
    return _U32.pack(len(head)) + head + rest


def split_parts(payload: bytes) -> tuple[bytes, bytes]:
    """Return the two parts that `join_parts` joined.

    Raises:
        FrameError: the first part's length runs past the payload.
    """
    if len(payload) < 4:
        raise FrameError("a two-part payload without its length")
    end = 4 + _U32.unpack_from(payload)[0]
    if end > len(payload):
        raise FrameError("a two-part payload whose first part runs past its end")
    return payload[4:end], payload[end:]
