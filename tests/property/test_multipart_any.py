"""Forms: mutated bytes raise only faults, and a changed part reads as its new value."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.errors import FaultError
from trunkline.protocol.endpoints.images import ImageEdits, ImageVariations
from trunkline.protocol.endpoints.multipart import edit_form, read_form
from trunkline.protocol.endpoints.transcriptions import Transcriptions

TYPE = "multipart/form-data; boundary=b0"
PIECES = st.sampled_from(
    [b"\r\n", b"--", b"b0", b"-", b"\n", b"\r", b"\x00", b"RIFF", "é".encode(), b"--b0", b"\r\n--b"]
)
CONTENTS = st.lists(st.one_of(PIECES, st.binary(max_size=6)), max_size=6).map(b"".join)
FIELDS = st.lists(st.tuples(st.sampled_from(["model", "file", "image[]", "prompt", "stream"]), CONTENTS), max_size=6)
FORM = (
    b'--b0\r\nContent-Disposition: form-data; name="model"\r\n\r\nup\r\n'
    b'--b0\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    b"RIFF\x24\x00\x00\x00WAVE\r\n"
    b'--b0\r\nContent-Disposition: form-data; name="image[]"; filename="a.png"\r\n\r\n\x89PNG\r\n'
    b"--b0--\r\n"
)


def written(fields: list[tuple[str, bytes]]) -> bytes:
    parts = [
        b'--b0\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), content)
        for name, content in fields
    ]
    return b"".join(parts) + b"--b0--\r\n"


def clean(content: bytes) -> bool:
    text = b"\r\n" + content + b"\r\n"
    return b"\n--b0" not in text and b"\r--b0" not in text


@given(FIELDS)
def test_what_was_written_is_read_or_refused(fields: list[tuple[str, bytes]]) -> None:
    body = written(fields)
    sound = bool(fields) and all(clean(content) for _, content in fields)
    try:
        parts = read_form(body, TYPE)
    except FaultError:
        assert not sound
        return
    assert sound
    assert [(part.name, body[part.start : part.end]) for part in parts] == fields


@given(FIELDS, st.integers(0, 5), CONTENTS)
def test_a_replaced_part_reads_as_its_new_value_and_the_others_as_before(
    fields: list[tuple[str, bytes]], number: int, content: bytes
) -> None:
    fields = [(name, old) for name, old in fields if clean(old)]
    if not fields:
        return
    body = written(fields)
    index = number % len(fields)
    try:
        changed = edit_form(body, read_form(body, TYPE), replaced={index: content})
    except FaultError:
        assert not clean(content)
        return
    fields[index] = (fields[index][0], content)
    assert changed == written(fields)
    parts = read_form(changed, TYPE)
    assert [(part.name, changed[part.start : part.end]) for part in parts] == fields
    removed = edit_form(changed, parts, removed={index}, inserted={"n": b"1"})
    assert removed == written([("n", b"1"), *fields[:index], *fields[index + 1 :]])


@given(
    st.lists(
        st.tuples(st.integers(0, 2**16), st.one_of(PIECES, st.binary(max_size=4)), st.integers(0, 5)),
        min_size=1,
        max_size=6,
    ),
    st.one_of(st.just(TYPE), st.text(max_size=12).map(TYPE.__add__), st.text(max_size=30)),
)
def test_mutated_forms_raise_only_faults(mutations: list[tuple[int, bytes, int]], content_type: str) -> None:
    body = FORM
    for number, new, removed in mutations:
        position = number % (len(body) + 1)
        body = body[:position] + new + body[position + removed :]
    for endpoint in (Transcriptions(), ImageEdits(), ImageVariations()):
        assert endpoint.count_input(body) >= 0
        with contextlib.suppress(FaultError):
            endpoint.read_head(body, content_type)
