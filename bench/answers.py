"""Reads HTTP answers with as little work as checking them allows; used by the load generator. Pure.

Only what the gateway and the demo upstream send is understood: HTTP/1.1 answers with a length or in chunks
(RFC 9112 section 7.1). Anything else is a `AnswerError`, which the generator counts as a failure.
"""

HEAD_BYTES_MAX = 16 * 1024
SIZE_LINE_BYTES_MAX = 32
_EVENT = b"data: "
_DONE = b"data: [DONE]\n\n"
_OK = b"HTTP/1.1 200 "
_WHOLE_END = b"}"
_FINISHED = b'"finish_reason":"'


class AnswerError(Exception):
    """The answer is not what was expected; the message is a short reason without the answer's text."""


class AnswerReader:
    """Reads the answers of one connection, one after the other.

    Args:
        events: how many server-sent events a stream has, with ``[DONE]``; 0 expects a whole JSON answer.

    Attributes:
        seen: events of the answer under way, or of the last one.
    """

    __slots__ = ("_body", "_body_left", "_buffer", "_chunk_left", "_events", "_head_done", "_tail", "seen")

    def __init__(self, events: int) -> None:
        self._events = events
        self._buffer = b""
        self._begin()

    def _begin(self) -> None:
        self._head_done = False
        self._body_left = 0
        self._chunk_left = 0
        self._body = b""
        self._tail = b""
        self.seen = 0

    def feed(self, data: bytes) -> bool:
        """Take bytes as they came; return whether the answer is whole and right.

        Raises:
            AnswerError: it is not right.
        """
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        if not self._head_done:
            if self.seen or self._tail:
                self._begin()
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > HEAD_BYTES_MAX:
                    raise AnswerError("head too large")
                self._buffer = data
                return False
            self._read_head(data[:end].lower(), data)
            data = data[end + 4 :]
        return self._read_chunks(data) if self._events else self._read_whole(data)

    def _read_head(self, head: bytes, data: bytes) -> None:
        if not data.startswith(_OK):
            raise AnswerError(f"status {data[9:12].decode('latin-1')}")
        if self._events:
            if b"\r\ntransfer-encoding: chunked" not in head:
                raise AnswerError("stream without chunked coding")
        else:
            at = head.find(b"\r\ncontent-length:")
            if at < 0:
                raise AnswerError("whole answer without a length")
            end = head.find(b"\r\n", at + 2)
            self._body_left = int(head[at + 17 : end if end >= 0 else len(head)])
        self._head_done = True

    def _read_whole(self, data: bytes) -> bool:
        self._body += data
        if len(self._body) < self._body_left:
            return False
        if len(self._body) > self._body_left:
            raise AnswerError("more bytes than its length")
        if not self._body.endswith(_WHOLE_END) or _FINISHED not in self._body:
            raise AnswerError("not a whole completion")
        self._begin()
        return True

    def _read_chunks(self, data: bytes) -> bool:
        at = 0
        while at < len(data):
            if self._chunk_left > 2:
                payload = data[at : at + self._chunk_left - 2]
                self._take(payload)
                at += len(payload)
                self._chunk_left -= len(payload)
            elif self._chunk_left:  # the line end after a chunk's payload
                skipped = min(self._chunk_left, len(data) - at)
                at += skipped
                self._chunk_left -= skipped
            else:
                end = data.find(b"\r\n", at)
                if end < 0:
                    if len(data) - at > SIZE_LINE_BYTES_MAX:
                        raise AnswerError("bad chunk size")
                    self._buffer = data[at:]
                    return False
                size = _chunk_size(data[at:end])
                if not size:
                    return self._end(data[end + 2 :], data[at:])
                self._chunk_left = size + 2
                at = end + 2
        return False

    def _take(self, payload: bytes) -> None:
        # An event's mark may lie across two chunks; five bytes of the last one cannot hold a whole mark.
        joined = self._tail[1 - len(_EVENT) :] + payload if self._tail else payload
        self.seen += joined.count(_EVENT)
        self._tail = (self._tail + payload)[-len(_DONE) :]

    def _end(self, rest: bytes, last_chunk: bytes) -> bool:
        if len(rest) < 2:
            self._buffer = last_chunk
            return False
        if rest != b"\r\n":
            raise AnswerError("bytes after the last chunk")
        if self._tail != _DONE:
            raise AnswerError("stream without [DONE]")
        if self.seen != self._events:
            raise AnswerError("stream with a wrong number of events")
        self._head_done = False
        return True


def _chunk_size(line: bytes) -> int:
    try:
        return int(line, 16)
    except ValueError as error:
        raise AnswerError("bad chunk size") from error
