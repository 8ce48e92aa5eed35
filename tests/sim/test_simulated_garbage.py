"""What a job is made of is gone with the job: a process under load leaves nothing to the cycle collector.

A pass over fifty thousand objects takes tens of milliseconds, in which no chunk moves.
"""

import gc
from collections import Counter

import pytest

from services.dispatcher import job_entry as dispatcher_entry
from services.dispatcher.attempt import Attempt
from services.dispatcher.course import Course
from services.edge import job_entry as edge_entry
from services.edge.client_job import ClientJob
from services.edge.relay import Relay
from tests.sim.sim_clients import Outcome
from tests.sim.sim_stage import Stage, play
from tests.sim.sim_upstream import Behaviour
from trunkline.bus.dispatch_job import DispatchJob
from trunkline.bus.edge_job import EdgeJob
from trunkline.policy.routing import Plan

PARTS = (
    ClientJob,
    Relay,
    EdgeJob,
    edge_entry.JobEntry,
    DispatchJob,
    dispatcher_entry.JobEntry,
    Course,
    Plan,
    Attempt,
)


def parts_alive() -> Counter[str]:
    return Counter(type(each).__qualname__ for each in gc.get_objects() if isinstance(each, PARTS))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("behaviour", "leaves"),
    [(Behaviour.GOOD, False), (Behaviour.LARGE, False), (Behaviour.SILENT, True)],
)
def test_a_job_that_has_ended_is_gone_without_the_collector(behaviour: Behaviour, leaves: bool, stream: bool) -> None:
    alive: Counter[str] = Counter()

    async def course(stage: Stage) -> None:
        gc.collect()
        before = parts_alive()
        client = stage.send(stream=stream)
        if leaves:
            await stage.until(lambda: bool(stage.provider.calls), within_s=2)
            assert parts_alive() > before  # what is looked for is there while the job is
            client.leave()
        await stage.until(lambda: client.done, within_s=20)
        assert client.outcome() is (Outcome.LEFT if leaves else Outcome.FULL)
        await stage.clock.sleep(5)
        alive.update(parts_alive() - before)

    gc.disable()
    try:
        play(course, script=[behaviour])
    finally:
        gc.enable()
    assert not alive
