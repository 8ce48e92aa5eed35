"""What a body begins with that should be an event stream. Held by the relays and event readers of every dialect.

Status 200 and a content type promise nothing: errors come as JSON, pages of a proxy as HTML, whole answers where a
stream was asked for. No line of an event stream begins like one of those.
"""

_SPACE_BEFORE = b" \t\r\n\xef\xbb\xbf"


def without_space(body: bytes) -> bytes:
    """Return a body without white space and a byte order mark before it."""
    return body.lstrip(_SPACE_BEFORE)


class StreamStart:
    """Looks at the first bytes, and keeps the body where it is no event stream.

    Args:
        body_bytes_max: how much of it is kept.

    Attributes:
        is_stream: whether it is an event stream; None until that is known.
        too_long: whether more came of another body than is kept.
    """

    __slots__ = ("_body", "_body_bytes_max", "is_stream", "too_long")

    def __init__(self, body_bytes_max: int) -> None:
        self._body_bytes_max = body_bytes_max
        self._body = bytearray()
        self.is_stream: bool | None = None
        self.too_long = False

    def receive(self, chunk: bytes) -> bool:
        """Return whether a chunk belongs to an event stream. Need not be called any more once that is sure."""
        if self.is_stream is None:
            start = without_space(chunk)
            if not start:
                return True
            self.is_stream = start[0] not in b"{[<"
        if not self.is_stream:
            room = self._body_bytes_max - len(self._body)
            self._body += chunk[:room]
            self.too_long = self.too_long or len(chunk) > room
        return self.is_stream

    @property
    def body(self) -> bytes:
        """What was kept of a body that is no event stream."""
        return bytes(self._body)
