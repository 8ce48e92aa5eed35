"""The journal of usage: whatever of it was written, what is read is what was noted and is not safe, in its order."""

from hypothesis import given
from hypothesis import strategies as st

from trunkline.bus import journal_record
from trunkline.bus.spool_record import read_records

HALF_BYTES = 200
NOTED = st.lists(st.binary(max_size=30), max_size=3)


def journal(safe: int, halves: list[list[tuple[int, bytes]]]) -> bytes:
    records = [b"".join(journal_record.encode(*noted) for noted in half) for half in halves]
    return journal_record.encode_header(safe) + b"".join(half.ljust(HALF_BYTES, b"\0") for half in records)


@given(NOTED, NOTED, st.booleans(), st.integers(0, 8))
def test_what_is_not_safe_is_read_in_order(older: list[bytes], newer: list[bytes], swapped: bool, safe: int) -> None:
    numbered = list(enumerate(older + newer, 1))
    halves = [numbered[: len(older)], numbered[len(older) :]]
    source = journal(safe, halves[::-1] if swapped else halves)
    assert len(source) == journal_record.file_bytes(HALF_BYTES)
    assert journal_record.read(source) == [payload for number, payload in numbered if number > safe]


@given(NOTED.filter(bool), st.data())
def test_a_record_that_was_not_written_to_its_end_is_left_out(noted: list[bytes], data: st.DataObject) -> None:
    *before, last = list(enumerate(noted, 1))
    source = bytearray(journal(0, [[*before, last], []]))
    size = len(journal_record.encode(*last))
    start = journal_record.half_start(0, HALF_BYTES) + sum(len(journal_record.encode(*each)) for each in before)
    written = data.draw(st.integers(0, size - 1))
    source[start + written : start + size] = bytes(size - written)
    found = journal_record.read(bytes(source))
    # Where all that is missing are zeros, the record is whole.
    assert found[: len(before)] == noted[:-1]
    assert found in (noted[:-1], noted)


@given(st.binary(max_size=500))
def test_any_bytes_are_read(source: bytes) -> None:
    for payload in journal_record.read(source):
        assert payload in source


def test_a_record_too_short_for_a_number_is_none() -> None:
    record = journal_record.encode(1, b"")[:8] + b"short"
    assert read_records(record).payloads == []
    assert journal_record.read(journal_record.encode_header(0) + record.ljust(100, b"\0")) == []
