"""Processes of several releases on one simulated bus: each acts with the constants of its own."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import msgspec

from tests.sim.sim_processes import SimulatedDispatcher, SimulatedEdge
from tests.support.frame_releases import Release
from trunkline.bus.messages import Beat
from trunkline.bus.port import Handler, Unsubscribe

P = ParamSpec("P")
R = TypeVar("R")


def put(process: SimulatedEdge | SimulatedDispatcher, release: Release) -> None:
    """Have a process that has not started yet be one of a release: in all that it hears, is asked and does in time."""
    subscribe, beat = process.bus.subscribe, process.beat

    async def subscribed(subject: str, handler: Handler, *, queue: str = "") -> Unsubscribe:
        return await subscribe(subject, _acting(release, handler), queue=queue)

    def telling() -> Beat:
        return msgspec.structs.replace(beat(), frames=release.newest_read)

    replaced: list[tuple[object, str, object]] = [(process.bus, "subscribe", subscribed), (process, "beat", telling)]
    if isinstance(process, SimulatedEdge):
        replaced += [
            (process.board, "open", _acting(release, process.board.open)),
            (process.board, "tick", _acting(release, process.board.tick)),
            (process.board, "dispatcher_lost", _acting(release, process.board.dispatcher_lost)),
        ]
    for owner, name, stand_in in replaced:
        setattr(owner, name, stand_in)


def _acting(release: Release, act: Callable[P, R]) -> Callable[P, R]:
    def acting(*args: P.args, **kwargs: P.kwargs) -> R:
        with release.acting():
            return act(*args, **kwargs)

    return acting
