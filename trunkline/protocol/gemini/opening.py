"""What a body begins with: no line of an event stream begins like JSON or HTML, whatever its content type."""

_SPACE_BEFORE = b" \t\r\n\xef\xbb\xbf"


def without_space(body: bytes) -> bytes:
    """Return a body without white space and a byte order mark before it."""
    return body.lstrip(_SPACE_BEFORE)


class Opening:
    """Looks at the first bytes of a stream, and keeps the body where it is no event stream.

    Args:
        body_bytes_max: how much of it is kept.

    Attributes:
        is_stream: whether it is an event stream; None until that is known.
    """

    __slots__ = ("_body", "_body_bytes_max", "is_stream")

    def __init__(self, body_bytes_max: int) -> None:
        self._body_bytes_max = body_bytes_max
        self._body = bytearray()
        self.is_stream: bool | None = None

    def receive(self, chunk: bytes) -> bool:
        """Return whether a chunk belongs to an event stream."""
        if self.is_stream is None:
            start = without_space(chunk)
            if not start:
                return True
            self.is_stream = start[0] not in b"{[<"
        if not self.is_stream:
            self._body += chunk[: self._body_bytes_max - len(self._body)]
        return self.is_stream

    @property
    def full(self) -> bool:
        """Whether no more than the beginning of the body was kept."""
        return len(self._body) >= self._body_bytes_max

    @property
    def body(self) -> bytes:
        """What was kept of a body that is no event stream."""
        return without_space(bytes(self._body))
