"""The second holder of usage: copies until they are confirmed, published if their dispatcher is lost; not too many."""

from typing import cast

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from services.edge.metrics import EdgeMetrics
from services.edge.usage_keeper import SILENT_AFTER_S, UsageKeeper
from tests.support.usage_events import usage_event
from trunkline.bus.fleet import Fleet
from trunkline.bus.messages import Beat, UsageEvent
from trunkline.core import limits
from trunkline.runtime.usage_outbox import UsageOutbox


class Outbox:
    def __init__(self) -> None:
        self.events: list[UsageEvent] = []

    def __len__(self) -> int:
        return len(self.events)

    def add(self, event: UsageEvent) -> int:
        self.events.append(event)
        return len(self.events)


class Rig:
    def __init__(self) -> None:
        self.outbox = Outbox()
        self.registry = CollectorRegistry()
        self.keeper = UsageKeeper(cast("UsageOutbox", self.outbox), metrics=EdgeMetrics(self.registry))

    def keep(self, dispatcher: str, *numbers: int) -> list[UsageEvent]:
        events = [usage_event() for _ in numbers]
        for number, event in zip(numbers, events, strict=True):
            self.keeper.keep(dispatcher, number, event)
        return events

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"trunkline_edge_{name}_total")


def living(*dispatchers: str) -> Fleet:
    fleet = Fleet()
    for dispatcher in dispatchers:
        fleet.receive(Beat("dispatcher", dispatcher, 0), 0.0)
    return fleet


def test_copies_go_when_they_are_confirmed() -> None:
    rig = Rig()
    rig.keep("d1", 1, 2, 3)
    rig.keep("d2", 1)
    assert len(rig.keeper) == 4
    rig.keeper.confirmed("d1", 2)
    rig.keeper.confirmed("unknown", 9)
    assert len(rig.keeper) == 2
    rig.keep("d1", 3)  # told twice
    assert len(rig.keeper) == 2
    rig.keeper.confirmed("d1", 3)
    rig.keeper.confirmed("d2", 1)
    assert len(rig.keeper) == 0
    rig.keeper.sweep(living(), 0.0)
    assert rig.outbox.events == []


def test_copies_of_a_lost_dispatcher_are_published() -> None:
    rig = Rig()
    lost, kept = rig.keep("d1", 4, 5), rig.keep("d2", 7)
    with capture_logs() as lines:
        rig.keeper.sweep(living("d2"), SILENT_AFTER_S)
    assert rig.outbox.events == lost
    assert [(line["event"], line["events"]) for line in lines] == [("usage_taken_over", 2)]
    assert (len(rig.keeper), rig.metric("usage_published")) == (3, 2)
    with capture_logs():
        rig.keeper.hand_over()
    assert rig.outbox.events == lost + kept
    assert len(rig.keeper) == 3


def test_copies_of_a_dispatcher_that_has_been_silent_for_too_long_are_published_before_it_counts_as_lost() -> None:
    rig = Rig()
    kept = rig.keep("d1", 4)
    fleet = living("d1")
    rig.keeper.sweep(fleet, SILENT_AFTER_S)
    assert rig.outbox.events == []
    with capture_logs():
        rig.keeper.sweep(fleet, SILENT_AFTER_S + 0.1)
    assert rig.outbox.events == kept
    assert "d1" in fleet


def test_the_oldest_copies_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "USAGE_KEPT_MAX", 3)
    rig = Rig()
    events = rig.keep("d1", 1, 2, 3, 4, 5)
    assert (len(rig.keeper), rig.metric("usage_copies_dropped")) == (3, 2)
    with capture_logs():
        rig.keeper.sweep(living(), 0.0)
    assert rig.outbox.events == events[2:]
