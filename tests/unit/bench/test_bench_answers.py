import pytest

from bench.answers import AnswerError, AnswerReader

BODY = b'{"choices":[{"finish_reason":"stop"}]}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nx: y\r\n\r\n%b" % (len(BODY), BODY)
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = b'data: {"a":1}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n'


def chunked(payload: bytes, size: int) -> bytes:
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def feed_in_parts(reader: AnswerReader, data: bytes, size: int) -> list[bool]:
    return [reader.feed(data[at : at + size]) for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 3, 16, 1000])
def test_a_whole_answer_is_whole_with_its_last_byte(size: int) -> None:
    reader = AnswerReader(0)
    for _ in range(2):
        results = feed_in_parts(reader, WHOLE, size)
        assert results == [False] * (len(results) - 1) + [True]


@pytest.mark.parametrize("chunk", [1, 5, 14, 1000])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_are_counted_however_a_stream_is_cut(chunk: int, size: int) -> None:
    reader = AnswerReader(3)
    for _ in range(2):
        results = feed_in_parts(reader, HEAD + chunked(EVENTS, chunk), size)
        assert results == [False] * (len(results) - 1) + [True]
        assert reader.seen == 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n", "status 429"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "whole answer without a length"),
        (WHOLE + b"x", "more bytes than its length"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "not a whole completion"),
        (b"x" * 20_000, "head too large"),
    ],
)
def test_a_wrong_whole_answer_is_refused(answer: bytes, reason: str) -> None:
    with pytest.raises(AnswerError, match=reason):
        AnswerReader(0).feed(answer)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (WHOLE, "stream without chunked coding"),
        (HEAD + chunked(EVENTS[:-14], 9), r"stream without \[DONE\]"),
        (HEAD + chunked(b"data: {}\n\ndata: [DONE]\n\n", 9), "stream with a wrong number of events"),
        (HEAD + b"zz\r\n", "bad chunk size"),
        (HEAD + b"1" * 40, "bad chunk size"),
        (HEAD + chunked(EVENTS, 9) + b"more", "bytes after the last chunk"),
    ],
)
def test_a_wrong_stream_is_refused(answer: bytes, reason: str) -> None:
    with pytest.raises(AnswerError, match=reason):
        AnswerReader(3).feed(answer)
