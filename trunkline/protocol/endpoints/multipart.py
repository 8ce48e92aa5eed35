"""Where the parts of a multipart/form-data body stand in its source, so that one is changed and no other byte is.

RFC 7578 on the grammar of RFC 2046 section 5.1.1, read strictly: what two readers could understand in two ways is
refused, since a provider must find the same model in a form as the gateway, which admits and bills by it. The body may
hold a file of tens of MiB; it is searched in C and never copied. Pure functions over bytes.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError

MEDIA_TYPE = "multipart/form-data"

PARTS_MAX = 256
"""Parts of one form. The largest real ones have 16 images, a mask and some twenty fields."""

PART_HEADER_BYTES_MAX = 8 * 1024
"""Header of one part: its name, and a file's name, which percent-encoding triples."""

BOUNDARY_CHARS_MAX = 70
"""RFC 2046 section 5.1.1."""

# Control characters, folded lines and bare line ends match nowhere below; quantifiers are possessive, so that no input
# costs more than one pass.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"  # noqa: S105 - a grammar rule of RFC 9110, no secret
_QUOTED = r'"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]++|\\[^\x00-\x1f\x7f])*+)"'
_PARAMETER = re.compile(rf"[ \t]*+;[ \t]*+(?:({_TOKEN})=(?:{_QUOTED}|([^\s;\"\x00-\x1f\x7f]++)))?")
_ESCAPED = re.compile(r"\\(.)")
_BOUNDARY = re.compile(rf"[0-9A-Za-z'()+_,./:=? -]{{0,{BOUNDARY_CHARS_MAX - 1}}}[0-9A-Za-z'()+_,./:=?-]")
_HEADER_LINE = re.compile(rf"({_TOKEN}):[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*+)")
_DISPOSITION = re.compile(r"\r\ncontent-disposition:[^;\r]*+", re.IGNORECASE)
_DELIMITER_END = re.compile(rb"[ \t]*+\r\n|--[ \t]*+(?:\r\n|\Z)")
_BLANK_REST = re.compile(rb"[ \t\r\n]*+\Z")
_PLAIN_ENCODINGS = frozenset({"", "7bit", "8bit", "binary"})
_ONCE = frozenset({"content-disposition", "content-type", "content-transfer-encoding"})


class Part(msgspec.Struct, frozen=True, gc=False):
    """One part: offsets into the body, ends exclusive.

    Attributes:
        name: of the field.
        filename: None for a field that is no file.
        content_type: as its header has it; empty without one.
        begin: of the delimiter before it; the one after it begins at ``end + 2``, behind a CRLF.
        start, end: of the content.
    """

    name: str
    filename: str | None
    content_type: str
    begin: int
    start: int
    end: int


class _Delimiter(msgspec.Struct, frozen=True, gc=False):
    """One delimiter line; ``end`` is behind its line end."""

    begin: int
    end: int


def is_form(content_type: str) -> bool:
    """Return whether a content type is a form's."""
    return content_type.partition(";")[0].strip(" \t").lower() == MEDIA_TYPE


def read_form(body: bytes, content_type: str) -> list[Part]:
    """Return the parts of a form in their order; at least one.

    Args:
        body: all of it.
        content_type: the request's, which has the boundary.

    Raises:
        FaultError: ``client_bad_request``: malformed, ambiguous, or beyond a bound.
    """
    delimiters = _delimiters(body, _boundary(content_type))
    return [_read_part(body, this, following) for this, following in pairwise(delimiters)]


def edit_form(
    body: bytes,
    parts: Sequence[Part],
    *,
    replaced: Mapping[int, bytes] | None = None,
    removed: Collection[int] = (),
    renamed: Mapping[int, str] | None = None,
    inserted: Mapping[str, bytes] | None = None,
) -> bytes:
    """Return a form with some parts changed, every other byte and the boundary as they were.

    With nothing to change it is the very same bytes object.

    Args:
        body: the form.
        parts: all of its parts, from `read_form`.
        replaced: new contents by index into ``parts``; the header of the part stays.
        removed: indices into ``parts``; wins over ``replaced`` and ``renamed``.
        renamed: new names (ASCII without quotes) by index into ``parts``.
        inserted: contents of new fields by name (ASCII without quotes), put before the first part.

    Raises:
        FaultError: ``client_bad_request``: a new content holds the form's boundary.
    """
    replaced, renamed, inserted = replaced or {}, renamed or {}, inserted or {}
    if not replaced and not removed and not renamed and not inserted:
        return body
    first = parts[0].begin
    line = body[first : body.index(b"\r\n", first)].rstrip(b" \t")
    for content in (*replaced.values(), *inserted.values()):
        text = b"\r\n" + content
        if b"\n" + line in text or b"\r" + line in text:
            raise malformed("its boundary is part of what is put into it. Choose a random boundary")
    pieces: list[bytes | memoryview] = []
    position = 0
    view = memoryview(body)
    names = {index: (*_name_span(body, parts[index]), name) for index, name in renamed.items()}
    for start, end, new in _edits(parts, line, replaced=replaced, removed=removed, names=names, inserted=inserted):
        pieces += (view[position:start], new)
        position = end
    pieces.append(view[position:])
    return b"".join(pieces)


def _edits(
    parts: Sequence[Part],
    line: bytes,
    *,
    replaced: Mapping[int, bytes],
    removed: Collection[int],
    names: Mapping[int, tuple[int, int, str]],
    inserted: Mapping[str, bytes],
) -> Iterator[tuple[int, int, bytes]]:
    """Yield what `edit_form` changes as (start, end, new bytes), from left to right."""
    first = parts[0].begin
    for name, content in inserted.items():
        disposition = f'Content-Disposition: form-data; name="{name}"'.encode("ascii")
        yield first, first, b"\r\n".join((line, disposition, b"", content, b""))
    for index, part in enumerate(parts):
        if index in removed:
            yield part.begin, part.end + 2, b""
            continue
        if index in names:
            start, end, name = names[index]
            yield start, end, f'"{name}"'.encode("ascii")
        if index in replaced:
            yield part.start, part.end, replaced[index]


def _name_span(body: bytes, part: Part) -> tuple[int, int]:
    """Return where the name of a part stands that was read, with its quotes."""
    # One character for each byte, and no space among those that are not ASCII.
    header = body[part.begin : part.start].decode("ascii", "surrogateescape")
    line = _DISPOSITION.search(header)
    found = None if line is None else _PARAMETER.match(header, line.end())
    while found is not None and (found[1] or "").lower() != "name":
        found = _PARAMETER.match(header, found.end())
    if found is None:
        raise AssertionError("a part that was read has no name")
    start, end = found.span(2)
    start, end = (start - 1, end + 1) if start >= 0 else found.span(3)
    return part.begin + start, part.begin + end


def malformed(reason: str) -> FaultError:
    """Return the error for a body that is no sound form."""
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, f"The multipart form is malformed: {reason}."))


# --- boundary and delimiters ---------------------------------------------------------------------------------------


def _boundary(content_type: str) -> bytes:
    if not (is_form(content_type) and content_type.isascii()):
        message = f"This endpoint takes a form. Send it as {MEDIA_TYPE} with its boundary in the content type."
        raise FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message))
    boundary = _parameters(content_type, len(content_type.partition(";")[0]), "its content type").get("boundary")
    if boundary is None or _BOUNDARY.fullmatch(boundary) is None:
        raise malformed(f"its content type has no boundary of 1 to {BOUNDARY_CHARS_MAX} permitted characters")
    return boundary.encode("ascii")


def _delimiters(body: bytes, boundary: bytes) -> list[_Delimiter]:
    """Return the delimiter lines, the closing one last.

    No line of the content may begin like one (RFC 2046), so every such place is a delimiter or an error. That also
    bounds the number of steps, and leaves nothing for a reader that takes bare CR or LF for a line end.
    """
    dashed = b"--" + boundary
    begin = 2 if body.startswith(b"\r\n") else 0
    if not body.startswith(dashed, begin):
        raise malformed("it does not begin with the boundary that its content type names")
    if b"\r" + dashed in body:
        raise malformed("a boundary stands behind a bare CR instead of CRLF")
    delimiters = []
    while True:
        found = _DELIMITER_END.match(body, begin + len(dashed))
        if found is None:
            raise malformed("a line begins with the boundary and goes on. Choose a random boundary, and end with CRLF")
        delimiters.append(_Delimiter(begin, found.end()))
        if found[0].startswith(b"--"):
            break
        if len(delimiters) > PARTS_MAX:
            raise malformed(f"it has more than {PARTS_MAX} parts")
        line_end = body.find(b"\n" + dashed, found.end() - 1)
        if line_end < 0:
            raise malformed("it is cut off: its closing boundary is missing")
        if body[line_end - 1] != 0x0D:
            raise malformed("a boundary stands behind a bare LF instead of CRLF")
        begin = line_end + 1
    if len(delimiters) == 1:
        raise malformed("it has no parts")
    if _BLANK_REST.match(body, delimiters[-1].end) is None:
        raise malformed("something stands behind its closing boundary")
    return delimiters


# --- one part ------------------------------------------------------------------------------------------------------


def _read_part(body: bytes, before: _Delimiter, after: _Delimiter) -> Part:
    end = after.begin - 2
    header_end = body.find(b"\r\n\r\n", before.end, min(end, before.end + PART_HEADER_BYTES_MAX + 4))
    if header_end < 0:
        raise malformed(f"a part has no header of up to {PART_HEADER_BYTES_MAX} bytes with a blank line behind it")
    headers = _headers(body[before.end : header_end])
    if headers.get("content-transfer-encoding", "").strip().lower() not in _PLAIN_ENCODINGS:
        raise malformed("a part is encoded. Send its bytes as they are, without Content-Transfer-Encoding")
    content_type = headers.get("content-type", "").strip()
    if content_type.lower().startswith("multipart/"):
        raise malformed("a part is a multipart of its own. Send each file as a part")
    disposition = headers.get("content-disposition", "")
    kind, _, _ = disposition.partition(";")
    if kind.strip(" \t").lower() != "form-data":
        raise malformed("a part has no Content-Disposition of form-data")
    parameters = _parameters(disposition, len(kind), "a Content-Disposition")
    name = parameters.get("name")
    if name is None or "name*" in parameters:
        raise malformed("a part has no plain name")
    return Part(
        name=name,
        filename=parameters.get("filename", parameters.get("filename*")),
        content_type=content_type,
        begin=before.begin,
        start=header_end + 4,
        end=end,
    )


def _headers(source: bytes) -> dict[str, str]:
    """Return a part's header fields, names in lower case."""
    headers: dict[str, str] = {}
    for line in source.decode(errors="replace").split("\r\n"):
        found = _HEADER_LINE.fullmatch(line)
        if found is None:
            raise malformed("a header line of a part is none")
        name = found[1].lower()
        if name in headers and name in _ONCE:
            raise malformed("a part has a header twice")
        headers[name] = found[2]
    return headers


def _parameters(value: str, position: int, where: str) -> dict[str, str]:
    """Return a header value's parameters from a position on, names in lower case.

    A backslash escapes in a file's name (RFC 9110 quoted-pair; browsers mean it literally). In a field's name, which
    decides what the field is, it is refused.
    """
    parameters: dict[str, str] = {}
    value = value.rstrip(" \t")
    while position < len(value):
        found = _PARAMETER.match(value, position)
        if found is None:
            raise malformed(f"{where} cannot be read")
        position = found.end()
        if found[1] is None:
            # A semicolon with nothing behind it; if something is, the next match fails.
            continue
        name = found[1].lower()
        text = found[2] if found[2] is not None else found[3]
        if name in parameters or (name == "name" and "\\" in text):
            raise malformed(f"{where} can be read in two ways")
        parameters[name] = _ESCAPED.sub(r"\1", text)
    return parameters
