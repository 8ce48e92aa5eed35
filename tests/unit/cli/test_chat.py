"""The chat command's reading of a stream."""

import pytest

from trunkline.cli.chat import endpoint, pieces
from trunkline.cli.failure import CLIError


def event(text: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % text.encode()


DONE = b"data: [DONE]\n\n"


def test_texts_come_piece_by_piece_whatever_the_chunks() -> None:
    stream = event("Hel") + b": a comment\n\n" + b'data: {"choices":[]}\n\n' + event("lo") + DONE
    for size in (1, 7, len(stream)):
        chunks = (stream[start : start + size] for start in range(0, len(stream), size))
        assert list(pieces(chunks)) == ["Hel", "lo"]


def test_an_error_in_the_stream_is_told() -> None:
    with pytest.raises(CLIError, match="the upstream went away"):
        list(pieces(iter([event("Hel"), b'data: {"error":{"message":"the upstream went away"}}\n\n'])))


def test_a_stream_without_its_end_was_cut() -> None:
    with pytest.raises(CLIError, match="cut off"):
        list(pieces(iter([event("Hel")])))


@pytest.mark.parametrize("base", ["http://x", "http://x/", "http://x/v1", "http://x/v1/"])
def test_the_base_url_may_hold_the_version(base: str) -> None:
    assert endpoint(base, "/models") == "http://x/v1/models"
