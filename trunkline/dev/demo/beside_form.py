"""Forms (multipart/form-data, RFC 7578) as the demo upstream reads them. Pure.

Strictly, since a gateway may have edited them, and broken them by that. Used by the endpoints for images and sound.
"""

from email.message import Message
from email.parser import BytesHeaderParser
from typing import NamedTuple

import msgspec

from trunkline.dev.demo.request import RequestError
from trunkline.dev.demo.script import FIELD, Script
from trunkline.runtime.http_exchange import Request

_decode_script = msgspec.json.Decoder(Script).decode


class FormFile(NamedTuple):
    """A file in a form."""

    name: str
    content_type: str
    content: bytes


class Form:
    """A form that was read.

    Args:
        request: that holds it.
        known: the names that its fields may have, without the brackets of a list.

    Raises:
        RequestError: it is none, or has other fields.
    """

    def __init__(self, request: Request, known: frozenset[str]) -> None:
        self.files: dict[str, list[FormFile]] = {}
        self._texts: dict[str, list[str]] = {}
        for head, content in _parts(request):
            written = head.get_param("name", header="content-disposition")
            if not isinstance(written, str) or not written:
                raise RequestError("Could not parse multipart form: a part has no name.")
            name = written.partition("[")[0]
            if name not in known and name != FIELD:
                raise RequestError(f"Unknown parameter: '{written}'.", param=written, code="unknown_parameter")
            filename = head.get_filename()
            if filename is None:
                self._texts.setdefault(name, []).append(_text(name, content))
            else:
                kept = self.files.setdefault(name, [])
                kept.append(FormFile(filename, head.get_content_type(), content))

    def text(self, name: str) -> str | None:
        """Return a field's text.

        Raises:
            RequestError: it is a file, or there more than once.
        """
        texts = self._texts.get(name, ())
        if name in self.files or len(texts) > 1:
            raise RequestError(f"Invalid type for '{name}': expected a single text.", param=name, code="invalid_type")
        return texts[0] if texts else None

    def texts(self, name: str) -> list[str]:
        """Return the texts of a field that is a list."""
        return self._texts.get(name, [])

    def number(self, name: str) -> float | None:
        """Return a field's number.

        Raises:
            RequestError: it is none.
        """
        text = self.text(name)
        try:
            return None if text is None else float(text)
        except ValueError as error:
            raise RequestError(f"Invalid type for '{name}': expected a number.", param=name) from error

    def flag(self, name: str) -> bool:
        """Return whether a field says true."""
        return (self.text(name) or "").lower() in {"true", "1"}

    @property
    def script(self) -> Script | None:
        """The request's own script.

        Raises:
            msgspec.DecodeError: it is none.
        """
        text = self.text(FIELD)
        return None if text is None else _decode_script(text.encode())


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"Could not parse multipart form: '{name}' is not UTF-8.") from error


def _parts(request: Request) -> list[tuple[Message, bytes]]:
    """Return each part's head and content."""
    boundary = _boundary(request.headers.get("content-type", ""))
    first, *parts = (b"\r\n" + request.body).split(b"\r\n--" + boundary)
    if first or not parts or parts[-1].rstrip(b"\r\n") != b"--":
        raise RequestError("Could not parse multipart form: it does not begin and end with its boundary.")
    found = []
    for part in parts[:-1]:
        head, gap, content = part.partition(b"\r\n\r\n")
        if not head.startswith(b"\r\n") or not gap:
            raise RequestError("Could not parse multipart form: a part has no head.")
        found.append((BytesHeaderParser().parsebytes(head[2:] + gap), content))
    return found


def _boundary(content_type: str) -> bytes:
    head = Message()
    head["content-type"] = content_type
    boundary = head.get_boundary() if head.get_content_type() == "multipart/form-data" else None
    if not boundary:
        raise RequestError(
            "Invalid Content-Type header. Expected 'multipart/form-data' with a boundary.", code="invalid_content_type"
        )
    return boundary.encode()
