"""Forms: where their parts stand, what is refused, and changes that leave every other byte."""

import httpx2
import pytest

from tests.support.form_bodies import TYPE, field, form
from trunkline.core.errors import ErrorType, FaultError
from trunkline.protocol.endpoints.media_form import TEXT_BYTES_MAX, MediaForm
from trunkline.protocol.endpoints.multipart import (
    PART_HEADER_BYTES_MAX,
    PARTS_MAX,
    Part,
    edit_form,
    is_form,
    read_form,
)
from trunkline.protocol.rules import RequestRules

NO_RULES = RequestRules()


def raw(header: bytes, value: bytes = b"v") -> bytes:
    return b"--XyZ\r\n" + header + b"\r\n\r\n" + value + b"\r\n--XyZ--\r\n"


PLAIN = form(field("model", b"up"), field("file", b"\r\n--Xy\x00\r\n", '; filename="a.wav"'), field("n", b""))


def contents(body: bytes, parts: list[Part]) -> list[tuple[str, bytes]]:
    return [(part.name, body[part.start : part.end]) for part in parts]


def refused(body: bytes, content_type: str = TYPE) -> str:
    with pytest.raises(FaultError) as caught:
        read_form(body, content_type)
    assert caught.value.fault.type is ErrorType.CLIENT_BAD_REQUEST
    return caught.value.fault.message


# --- reading -------------------------------------------------------------------------------------------------------


def test_parts_are_found_in_their_order() -> None:
    parts = read_form(PLAIN, TYPE)
    assert contents(PLAIN, parts) == [("model", b"up"), ("file", b"\r\n--Xy\x00\r\n"), ("n", b"")]
    assert [part.filename for part in parts] == [None, "a.wav", None]
    assert all(PLAIN[part.begin :].startswith(b"--XyZ\r\n") for part in parts)
    assert [part.end + 2 for part in parts[:-1]] == [part.begin for part in parts[1:]]


def test_what_a_common_client_sends_is_read() -> None:
    request = httpx2.Request(
        "POST",
        "http://gateway/v1/images/edits",
        data={"model": "m", "keywords[]": ["a", "b"]},
        files=[("image[]", ('1 "ü".png', b"\x89PNG\r\n", "image/png")), ("image[]", ("2", b""))],
    )
    body = request.read()
    parts = read_form(body, request.headers["content-type"])
    assert contents(body, parts) == [
        ("model", b"m"),
        ("keywords[]", b"a"),
        ("keywords[]", b"b"),
        ("image[]", b"\x89PNG\r\n"),
        ("image[]", b""),
    ]
    assert (parts[3].filename, parts[3].content_type) == ("1 %22ü%22.png", "image/png")


@pytest.mark.parametrize(
    "content_type",
    [
        TYPE,
        "Multipart/Form-Data;boundary=XyZ",
        'multipart/form-data ; charset=utf-8; BOUNDARY="XyZ"',
        "multipart/form-data; boundary=XyZ;",
        'multipart/form-data; boundary="Xy\\Z"',
    ],
)
def test_the_boundary_is_found_in_every_spelling(content_type: str) -> None:
    assert is_form(content_type)
    assert len(read_form(PLAIN, content_type)) == 3


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        'multipart/form-data; boundary="XyZ',
        "multipart/form-data; boundary=XyZ; boundary=abc",
        "multipart/form-data; boundary=XyZ boundary=abc",
        "multipart/form-data; boundary=X*Z",
        'multipart/form-data; boundary="XyZ "',
        "multipart/form-data; boundary=" + "x" * 71,
        "multipart/form-data; boundary=XyZ\r\nx: y",
        "\r\nmultipart/form-data; boundary=XyZ",
        "multipart/form-data; boundary=XyZ; x=\u0142",
    ],
)
def test_a_content_type_without_a_clear_boundary_is_refused(content_type: str) -> None:
    assert refused(PLAIN, content_type)


def test_white_space_behind_delimiters_and_the_form_is_borne() -> None:
    body = b"\r\n--XyZ \t\r\n" + field("model", b"m")[7:] + b"--XyZ-- \t\r\n\r\n "
    assert contents(body, read_form(body, TYPE)) == [("model", b"m")]
    assert len(read_form(PLAIN.removesuffix(b"\r\n"), TYPE)) == 3


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "does not begin"),
        (b"preamble\r\n" + PLAIN, "does not begin"),
        (b"\n" + PLAIN, "does not begin"),
        (b"--XyZ--\r\n", "no parts"),
        (PLAIN.removesuffix(b"--XyZ--\r\n"), "cut off"),
        (PLAIN[:-4], "goes on"),
        (PLAIN[:-5], "cut off"),
        (PLAIN + b"more", "behind its closing"),
        (PLAIN + PLAIN, "behind its closing"),
        (PLAIN.replace(b"\r\n", b"\n"), "goes on"),
        (form(field("a", b"x\n--XyZ\r\n\r\ny")), "bare LF"),
        (form(field("a", b"x\r--XyZ\r\n\r\ny")), "bare CR"),
        (form(field("a", b"x\r\n--XyZabc")), "goes on"),
        (form(field("a", b"x\r\n--XyZ-")), "goes on"),
        (form(b"--XyZ\r\n" + field("a", b"x")), "no header"),
        (form(b'--XyZ\r\nContent-Disposition: form-data; name="a"\r\n'), "no header"),
        # The blank line and the delimiter share a line end: empty to some readers, no part to others.
        (form(b'--XyZ\r\nContent-Disposition: form-data; name="a"\r\n\r\n'), "no header"),
    ],
)
def test_broken_forms_are_refused(body: bytes, reason: str) -> None:
    assert reason in refused(body)


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Type: text/plain",
        b"Content-Disposition: form-data",
        b'Content-Disposition: attachment; name="a"',
        b'Content-Disposition: form-data; filename="a"',
        b'Content-Disposition: form-data; name="a"; name="b"',
        b"Content-Disposition: form-data; name*=utf-8''model",
        b"Content-Disposition: form-data; name=\"a\"; name*=utf-8''model",
        b'Content-Disposition: form-data; name="mo\\del"',
        b'Content-Disposition: form-data; name="a" name="b"',
        b'Content-Disposition: form-data; name="a',
        b'Content-Disposition: form-data; name="a"; filename="x\\"',
        b'Content-Disposition: form-data;\r\n name="a"',
        b'Content-Disposition: form-data; name="a"\nX: y',
        b'Content-Disposition: form-data; name="a"\rX: y',
        b'Content-Disposition: form-data; name="a\x00"',
        b'Content-Disposition : form-data; name="a"',
        b'Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"',
        b'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: quoted-printable',
        b'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64',
        b'Content-Disposition: form-data; name="a"\r\nContent-Type: multipart/mixed; boundary=x',
        b'Content-Disposition: form-data; name="a"\r\nno header',
    ],
)
def test_headers_that_readers_may_understand_differently_are_refused(header: bytes) -> None:
    assert "malformed" in refused(raw(header))


def test_names_may_be_bare_and_files_names_escaped() -> None:
    body = raw(b'content-DISPOSITION:Form-Data; filename="a\\"b;\\\\.png"; NAME=image\r\nX-More: 1\r\nX-More: 2')
    (part,) = read_form(body, TYPE)
    assert (part.name, part.filename, body[part.start : part.end]) == ("image", 'a"b;\\.png', b"v")


def test_an_encoded_file_name_is_known_to_be_one() -> None:
    body = raw(b"Content-Disposition: form-data; name=file; filename*=UTF-8''na%C3%AFve.wav")
    assert read_form(body, TYPE)[0].filename == "UTF-8''na%C3%AFve.wav"


def test_parts_and_headers_are_bounded() -> None:
    fields = [field("a", b"")] * PARTS_MAX
    assert len(read_form(form(*fields), TYPE)) == PARTS_MAX
    assert f"more than {PARTS_MAX} parts" in refused(form(*fields, field("a", b"")))
    longest = b'Content-Disposition: form-data; name="a"\r\nX: '
    longest += b"x" * (PART_HEADER_BYTES_MAX - len(longest))
    assert len(read_form(raw(longest), TYPE)) == 1
    assert "no header of up to" in refused(raw(longest + b"x"))


@pytest.mark.parametrize("filling", [b"\r\n--Xy", b"\r", b"\n--X", b" --XyZ", b"-", b"\r\n"])
def test_content_that_is_nearly_a_boundary_is_content(filling: bytes) -> None:
    content = filling * (4_000_000 // len(filling))
    body = form(field("file", content, '; filename="a"'))
    (part,) = read_form(body, TYPE)
    assert body[part.start : part.end] == content


def test_no_message_quotes_the_form() -> None:
    assert "secret" not in refused(raw(b'Content-Disposition: form-data; name="secret\\"'))
    with pytest.raises(FaultError) as caught:
        MediaForm(form(field("stream", b"secret"), field("model", b"m")), TYPE).head()
    assert "secret" not in caught.value.fault.message


# --- changing ------------------------------------------------------------------------------------------------------


def test_one_value_is_replaced_and_no_other_byte() -> None:
    parts = read_form(PLAIN, TYPE)
    assert edit_form(PLAIN, parts, replaced={0: b"another"}) == PLAIN.replace(b"up", b"another")
    assert edit_form(PLAIN, parts, replaced={2: b"3"}) == PLAIN.replace(b'"n"\r\n\r\n', b'"n"\r\n\r\n3')


def test_without_a_change_it_is_the_very_same_object() -> None:
    assert edit_form(PLAIN, read_form(PLAIN, TYPE)) is PLAIN


def test_parts_are_removed_and_inserted() -> None:
    parts = read_form(PLAIN, TYPE)
    assert edit_form(PLAIN, parts, removed={0}) == PLAIN.removeprefix(field("model", b"up"))
    assert edit_form(PLAIN, parts, removed={0, 2}, replaced={0: b"x"}, inserted={"q": b"1"}) == form(
        field("q", b"1"), field("file", b"\r\n--Xy\x00\r\n", '; filename="a.wav"')
    )


@pytest.mark.parametrize("content", [b"--XyZ", b"a\r\n--XyZ--", b"a\n--XyZ", b"a\r--XyZ"])
def test_a_value_with_the_boundary_in_it_is_refused(content: bytes) -> None:
    parts = read_form(PLAIN, TYPE)
    for changes in ({"replaced": {0: content}}, {"inserted": {"q": content}}):
        with pytest.raises(FaultError):
            edit_form(PLAIN, parts, **changes)
    assert edit_form(PLAIN, parts, replaced={0: b"x" + content[content.find(b"--") :]})


# --- as a request --------------------------------------------------------------------------------------------------


def test_model_and_stream_are_read() -> None:
    head = MediaForm(form(field("model", b"m-1"), field("stream", b"True")), TYPE).head()
    assert (head.model, head.stream, head.raw) == ("m-1", True, False)
    for no in (b"false", b"0", b""):
        assert not MediaForm(form(field("model", b"m"), field("stream", no)), TYPE).head().stream


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ((field("n", b"1"),), "model"),
        ((field("model", b" "),), "model"),
        ((field("model", b"a"), field("model", b"b")), "model"),
        ((field("model", b"a", '; filename="m"'),), "model"),
        ((field("model", b"\xff"),), "model"),
        ((field("model", b"x" * (TEXT_BYTES_MAX + 1)),), "model"),
        ((field("model", b"x" * 257),), "model"),
        ((field("model", b"m"), field("stream", b"maybe")), "stream"),
        ((field("model", b"m"), field("stream", b"true"), field("stream", b"false")), "stream"),
    ],
)
def test_fields_that_decide_something_must_be_clear(fields: tuple[bytes, ...], param: str) -> None:
    with pytest.raises(FaultError) as caught:
        MediaForm(form(*fields), TYPE).head()
    assert (caught.value.fault.type, caught.value.fault.param) == (ErrorType.CLIENT_BAD_REQUEST, param)


def test_the_provider_gets_its_model_and_none_of_our_fields() -> None:
    body = form(field("fallback_models[]", b"x"), field("model", b"m"), field("models", b"y"), field("n", b"2"))
    assert MediaForm(body, TYPE).prepared("up-1", NO_RULES) == form(field("model", b"up-1"), field("n", b"2"))
    assert MediaForm(PLAIN, TYPE).prepared("up", NO_RULES) is PLAIN


def test_a_channels_rules_hold_for_forms() -> None:
    body = form(
        field("model", b"m"), field("n", b"9"), field("include[]", b"logprobs"), field("t", b"0.5"), field("s", b"a")
    )
    rules = RequestRules(
        drop=("include",),
        set={"s": b'"b"', "chunking": b'{"type":"auto"}', "not a name": b"1"},
        clamp={"n": (1, 4), "t": (0.75, None), "s": (1, 2), "model": (1, 2)},
    )
    assert MediaForm(body, TYPE).prepared("m", rules) == form(
        field("chunking", b'{"type":"auto"}'),
        field("model", b"m"),
        field("n", b"4"),
        field("t", b"0.75"),
        field("s", b"b"),
    )
    within = RequestRules(clamp={"n": (1, 10), "t": (0.25, 0.5)})
    assert MediaForm(body, TYPE).prepared("m", within) is body


def test_a_model_that_holds_the_boundary_is_refused() -> None:
    with pytest.raises(FaultError):
        MediaForm(PLAIN, TYPE).prepared("--XyZ", NO_RULES)
