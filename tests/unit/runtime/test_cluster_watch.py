"""A connection through which JetStream does not answer is given another server; one that does not stand is let be."""

from structlog.testing import capture_logs

from tests.sim.sim_loop import LoopClock, SimulatedLoop
from trunkline.bus.seclusion import SECLUDED_AFTER_S
from trunkline.runtime.cluster_watch import ANSWER_TIMEOUT_S, ASK_INTERVAL_S, ClusterWatch, Watched
from trunkline.runtime.tasks import TaskSet


class Connection:
    """One connection: what it is like, and when it was told to leave."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.stands = True
        self.answering = True
        self.left_at: list[float] = []

    async def answers(self, timeout_s: float) -> bool:
        assert timeout_s == ANSWER_TIMEOUT_S
        await self._clock.sleep(0.001 if self.answering else timeout_s)
        return self.answering

    async def leave(self) -> None:
        self.left_at.append(self._clock.now())


async def _watch(loop: SimulatedLoop) -> None:
    clock = LoopClock(loop, 0)
    connection = Connection(clock)
    watched = Watched("link", lambda: connection.stands, connection.answers, connection.leave)
    tasks = TaskSet()
    tasks.spawn(ClusterWatch(watched, clock).run(), name="watch")
    await clock.sleep(100)
    assert connection.left_at == [], "it answers"

    connection.answering = False
    connection.stands = False
    await clock.sleep(100)
    assert connection.left_at == [], "it has no server to leave"

    connection.stands = True
    await clock.sleep(SECLUDED_AFTER_S)
    assert connection.left_at == [], "it may be an election"
    await clock.sleep(2 * (ASK_INTERVAL_S + ANSWER_TIMEOUT_S))
    assert len(connection.left_at) == 1

    connection.answering = True
    await clock.sleep(600)
    assert len(connection.left_at) == 1, "it was the server's fault"
    await tasks.cancel()


def test_a_server_is_left_that_does_not_answer_for_long() -> None:
    loop = SimulatedLoop()
    try:
        with capture_logs() as lines:
            loop.run_until_complete(_watch(loop))
    finally:
        loop.close()
    assert lines == [{"connection": "link", "event": "bus_server_secluded", "log_level": "warning"}]
