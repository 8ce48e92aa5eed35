"""An edge's answer on its way through the console: bounded, and given up at once."""

from typing import cast

import pytest

from services.console.edge_call import BUFFER_BYTES_MAX, EdgeAnswer
from trunkline.runtime.http_client import ClientConnection, HTTPClientError


class Connection:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.reading = True
        self.cancelled = False

    def pause(self) -> None:
        self.reading = False

    def resume(self) -> None:
        self.reading = True

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture
def answer(connection: Connection) -> EdgeAnswer:
    return EdgeAnswer(cast("ClientConnection", connection))


def test_a_full_buffer_stops_the_edge_until_it_is_taken(answer: EdgeAnswer, connection: Connection) -> None:
    answer.on_head(200, {})
    answer.on_body(bytes(BUFFER_BYTES_MAX - 1))
    assert connection.reading
    answer.on_body(b"x")
    assert not connection.reading
    assert len(answer.take()) == BUFFER_BYTES_MAX
    assert connection.reading
    assert answer.take() == b""


def test_it_has_ended_when_its_last_piece_was_taken(answer: EdgeAnswer, connection: Connection) -> None:
    answer.on_head(200, {"x": "y"})
    answer.on_body(b"last")
    answer.on_end()
    assert not answer.ended
    assert answer.take() == b"last"
    assert answer.ended
    answer.cancel()
    assert not connection.cancelled


def test_what_came_before_a_break_is_taken_first(answer: EdgeAnswer, connection: Connection) -> None:
    answer.on_head(200, {})
    answer.on_body(b"part")
    answer.on_error(HTTPClientError("cut", unused=False))
    assert answer.take() == b"part"
    with pytest.raises(HTTPClientError):
        answer.take()
    answer.cancel()
    assert not connection.cancelled


def test_it_is_given_up(answer: EdgeAnswer, connection: Connection) -> None:
    answer.cancel()
    assert connection.cancelled


async def test_waiting_ends_with_news_or_with_time(answer: EdgeAnswer) -> None:
    await answer.wait(0.001)
    assert answer.head is None
    answer.on_head(200, {})
    await answer.wait(60)
    assert answer.head == (200, {})
