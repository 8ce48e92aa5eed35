"""Identifiers of jobs and processes.

A job's id is minted once, at the edge, and is the idempotency key of everything that follows: frames on the
bus, usage events, ledger transfers and the ``x-request-id`` the client sees are all named by it.
"""

import uuid
from typing import NewType

JobID = NewType("JobID", bytes)
"""16 bytes, laid out as a UUID version 7 (RFC 9562 section 5.7): sortable by time of minting."""

JOB_BYTES = 16

_COUNTER_BITS = 42
_ENTROPY_BITS = 32


class JobIDMint:
    """Mints the job ids of one edge process.

    A UUIDv7 has 74 free bits beside its timestamp. Here 32 of them name the process and 42 count, so two ids
    are equal only if two processes drew the same entropy and reached the same count in the same millisecond.

    Args:
        entropy: a number drawn once per process; its low 32 bits are used.
    """

    __slots__ = ("_count", "_entropy")

    def __init__(self, entropy: int) -> None:
        self._entropy = entropy & ((1 << _ENTROPY_BITS) - 1)
        self._count = 0

    def mint(self, now_ms: int) -> JobID:
        """Return a new id. ``now_ms`` is Unix time in milliseconds."""
        self._count = (self._count + 1) & ((1 << _COUNTER_BITS) - 1)
        free = (self._entropy << _COUNTER_BITS) | self._count
        rand_a, rand_b = free >> 62, free & ((1 << 62) - 1)
        value = (now_ms & ((1 << 48) - 1)) << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b
        return JobID(value.to_bytes(16, "big"))


def minted_ms(job: JobID) -> int:
    """Return when a job id was minted, as Unix time in milliseconds, by the clock of its edge."""
    return int.from_bytes(job[:6], "big")


def job_text(job: JobID) -> str:
    """Return the form used in headers, logs and the CLI: a hyphenated UUID of 36 characters."""
    digits = job.hex()  # uuid.UUID would take ten times as long, for each request
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def parse_job(text: str) -> JobID:
    """Return the id that `job_text` printed.

    Raises:
        ValueError: ``text`` is not a UUID.
    """
    return JobID(uuid.UUID(text).bytes)


def process_id(role: str, entropy: int) -> str:
    """Return the name of one process on the bus: ``edge-1a2b3c4d5e6f``.

    It is a subject token, so it holds no dot, space or wildcard. ``entropy`` is drawn once per process.
    """
    return f"{role}-{entropy & 0xFFFF_FFFF_FFFF:012x}"
