"""While one connection takes over from another, each message is handed on once, and in its order."""

from typing import cast
from unittest import mock

import pytest

from trunkline.bus.nats_wire import Delivery
from trunkline.bus.port import Message
from trunkline.runtime import nats_handover
from trunkline.runtime.nats_connection import Deliver, NATSConnection
from trunkline.runtime.nats_handover import Handover

PLAIN, QUEUED = 1, 2


class Connection:
    """What a handover needs of one."""

    def __init__(self, got: list[str]) -> None:
        def deliver(delivery: Delivery) -> None:
            got.append(_text(delivery))

        self.deliver: Deliver = deliver

    def as_one(self) -> NATSConnection:
        return cast("NATSConnection", self)


def _text(delivery: Delivery) -> str:
    return delivery.message.data.decode()


def _message(text: str, sid: int = PLAIN) -> Delivery:
    return Delivery(sid, Message("a", "", text.encode()))


class Stage:
    """Two connections and a handover between them.

    Attributes:
        got: what was handed on.
    """

    def __init__(self) -> None:
        self.got: list[str] = []
        self.old, self.new = Connection(self.got), Connection(self.got)
        self.deliver = self.old.deliver
        self.handover = Handover(self.old.as_one(), self.deliver, lambda sid: sid == QUEUED)

    def by_old(self, *texts: str) -> None:
        for text in texts:
            self.old.deliver(_message(text))

    def by_new(self, *texts: str) -> None:
        for text in texts:
            self.handover.take_new(_message(text))


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_the_old_one_speaks_and_the_rest_of_the_new_one_follows(stage: Stage) -> None:
    stage.by_old("1", "2")
    stage.by_new("2", "3", "4", "5")
    stage.by_old("3")
    assert stage.got == ["1", "2", "3"]
    stage.handover.complete(stage.new.as_one())
    stage.new.deliver(_message("6"))
    assert stage.got == ["1", "2", "3", "4", "5", "6"]


def test_what_was_said_twice_is_handed_on_twice(stage: Stage) -> None:
    stage.by_old("same")
    stage.by_new("same", "same")
    stage.handover.complete(stage.new.as_one())
    assert stage.got == ["same", "same"]


def test_a_new_one_that_lags_behind_brings_nothing_twice(stage: Stage) -> None:
    stage.by_old("1")  # before all servers knew the new one: it may never come by that
    stage.handover.known()
    stage.by_old("2", "3", "same", "same")
    stage.by_new("2")
    stage.handover.complete(stage.new.as_one())
    for text in ("3", "same", "same", "same", "4", "1"):
        stage.new.deliver(_message(text))
    assert stage.got == ["1", "2", "3", "same", "same", "same", "4", "1"]


def test_what_is_lost_on_the_way_is_not_waited_for_for_ever(stage: Stage) -> None:
    stage.handover.known()
    stage.by_old("1")
    stage.handover.complete(stage.new.as_one())
    stage.handover.forget()
    assert stage.new.deliver == stage.deliver, "no message is looked at any more"
    stage.new.deliver(_message("1"))
    assert stage.got == ["1", "1"]


def test_a_second_move_while_the_first_is_still_waited_for(stage: Stage) -> None:
    stage.handover.known()
    stage.by_old("1")
    stage.handover.complete(stage.new.as_one())
    third = Connection(stage.got)
    following = Handover(stage.new.as_one(), third.deliver, lambda sid: sid == QUEUED)
    for text in ("1", "2"):
        stage.new.deliver(_message(text))
    following.take_new(_message("2"))
    following.take_new(_message("3"))
    following.complete(third.as_one())
    assert stage.got == ["1", "2", "3"]


def test_a_queue_groups_messages_are_handed_on_at_once(stage: Stage) -> None:
    stage.by_new("held")
    stage.handover.take_new(_message("offer", QUEUED))
    stage.old.deliver(_message("offer", QUEUED))
    assert stage.got == ["offer", "offer"], "two offers: each came by one connection"
    stage.handover.complete(stage.new.as_one())
    assert stage.got == ["offer", "offer", "held"]


def test_given_up_the_old_one_goes_on_alone(stage: Stage) -> None:
    stage.by_new("1")
    stage.by_old("1")
    stage.handover.give_up()
    stage.by_old("2")
    assert stage.got == ["1", "2"]


def test_more_than_can_be_held_is_told(stage: Stage) -> None:
    with mock.patch.object(nats_handover, "HELD_BYTES_MAX", 3):
        stage.by_new("12", "34")
        assert not stage.handover.overflown
        stage.by_new("5")
        assert stage.handover.overflown
