"""Spool files: whatever is cut off or written over, what stood before it is read, and nothing that was not written."""

from hypothesis import given
from hypothesis import strategies as st

from trunkline.bus.spool_record import Records, encode_record, read_records

PAYLOADS = st.lists(st.binary(max_size=40), max_size=6)


@given(PAYLOADS)
def test_records_survive_the_disk(payloads: list[bytes]) -> None:
    assert read_records(b"".join(map(encode_record, payloads))) == Records(payloads, 0)


@given(PAYLOADS, st.integers(0, 400))
def test_any_cut_leaves_the_records_before_it(payloads: list[bytes], size: int) -> None:
    source = b"".join(map(encode_record, payloads))[:size]
    whole, end = [], 0
    for payload in payloads:
        if end + 8 + len(payload) > len(source):
            break
        whole.append(payload)
        end += 8 + len(payload)
    assert read_records(source) == Records(whole, len(source) - end)


@given(PAYLOADS.filter(bool), st.data(), st.integers(1, 255))
def test_a_changed_byte_spoils_no_record_before_it(payloads: list[bytes], data: st.DataObject, change: int) -> None:
    source = bytearray(b"".join(map(encode_record, payloads)))
    position = data.draw(st.integers(0, len(source) - 1))
    source[position] ^= change
    found = read_records(bytes(source))
    before, end = 0, 0
    while end + 8 + len(payloads[before]) <= position:
        end += 8 + len(payloads[before])
        before += 1
    assert found == Records(payloads[:before], len(source) - end)


@given(st.binary(max_size=200))
def test_any_bytes_are_read(source: bytes) -> None:
    found = read_records(source)
    assert b"".join(map(encode_record, found.payloads)) == source[: len(source) - found.torn_bytes]


def test_a_hole_of_zeros_is_no_record() -> None:
    assert read_records(encode_record(b"x") + bytes(4096)) == Records([b"x"], 4096)
