"""An earlier version and this one serve side by side, on one bus and one database, as in a roll-out."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from tests.support.books import ledger_connection
from tests.support.chat_client import ChatClient, Ending, Outcome, assert_proper, load, session
from tests.support.earlier_release import earlier_services, unpack
from tests.support.live_stack import StackPlan
from tests.support.servers import running_nats, server_directory
from tests.support.waiting import eventually
from trunkline.bus import frames, subjects
from trunkline.bus.frames import Kind
from trunkline.core.ids import JobID
from trunkline.dev.ports import PortPicker

pytestmark = pytest.mark.patient

EARLIER = "10c7679dcae498ea3d672a47bacc055b3ed886b2"
"""The commit before NATS had users: its services can do all they want only on a broker without any."""

MODEL = "demo"
PLAIN = {"first_delay_ms": 10}
STREAM = {"chunks": 10, "delay_ms": 20}


@pytest.fixture
def code() -> Iterator[Path]:
    with server_directory("earlier") as folder:
        if not unpack(EARLIER, folder):
            pytest.skip(f"the history lacks {EARLIER}: a whole clone is needed")
        yield folder


async def test_every_pair_of_versions_serves(code: Path) -> None:
    plan = StackPlan(edges=1, dispatchers=1)
    plan.channel("only", MODEL)
    key = plan.account("acme")
    with running_nats() as broker, server_directory("side-by-side") as directory:
        plan.environment = {"NATS_URL": broker.url}
        stack = plan._start(directory)
        try:
            secrets = json.loads((directory / "data" / "secrets.json").read_text())
            port = PortPicker().pick()
            common = {"NATS_URL": broker.url, "TRUNKLINE_SPOOL_DIR": str(code / "spool")}
            wanted = {
                "edge": {
                    **common,
                    "TRUNKLINE_KEY_PEPPER": secrets["key_pepper"],
                    "TRUNKLINE_EDGE_HOST": "127.0.0.1",
                    "TRUNKLINE_EDGE_PORT": str(port),
                },
                "dispatcher": {**common, "TRUNKLINE_MASTER_KEYS": secrets["master_keys"]},
                "metering": {**common, "DATABASE_URL": stack.ready.postgres_dsn},
            }
            with earlier_services(code, wanted) as earlier:
                for role, service in earlier.items():
                    await eventually(service.ready, within_s=30, what=f"the earlier {role} is ready")
                edges = [stack.edges[0], f"http://127.0.0.1:{port}"]
                async with session() as http:
                    client = ChatClient(http, key, MODEL)

                    async def request(number: int) -> Outcome:
                        stream = number % 3 == 0
                        return await client.chat(edges[number % 2], STREAM if stream else PLAIN, stream=stream)

                    async with load(request, workers=8) as running:
                        await running.progress(150)
                    assert_proper(running.outcomes, {Ending.WHOLE})
                    assert {outcome.chunks for outcome in running.outcomes} == {0, STREAM["chunks"]}
                    answered = earlier["dispatcher"].metric("trunkline_dispatcher_attempts_total")
                    assert 20 < answered < len(running.outcomes) - 20, "both dispatchers have answered both edges"
                    jobs = {uuid.UUID(outcome.headers["x-request-id"]) for outcome in running.outcomes}

                async def settled() -> bool:
                    async with ledger_connection(stack) as connection:
                        rows = await connection.fetch("select job, count(*) from usage where charged group by job")
                        return dict(rows) == dict.fromkeys(jobs, 1)

                await eventually(settled, within_s=30, what="each request is charged once")

                async def refused(role: str) -> float:
                    name = f"trunkline_{role}_frames_refused_total"
                    async with session() as http:
                        return earlier[role].metric(name) + await stack.metric_sum(http, role, name)

                assert [await refused("edge"), await refused("dispatcher")] == [0, 0]
                await _offer_in_a_version_to_come(broker.url)

                async def counted() -> bool:
                    return await refused("dispatcher") == 1

                await eventually(counted, within_s=10, what="whoever got it has refused and counted it")
        finally:
            stack.stop()


async def _offer_in_a_version_to_come(nats_url: str) -> None:
    frame = frames.encode(frames.NEWEST_READ + 1, Kind.OPEN, 0, JobID(bytes(16)), 0, b"")
    client = await nats.connect(nats_url)
    await client.publish(subjects.job(subjects.DEFAULT_LANE), frame)
    await client.close()
