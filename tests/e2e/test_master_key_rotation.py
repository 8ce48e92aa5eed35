"""Another master key for a stack that serves: readers, writers, sealing anew, the end of the old key. Nobody fails."""

import base64
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.support.chat_client import ChatClient, Ending, Load, Outcome, assert_proper, load, session
from tests.support.live_stack import LiveStack, StackPlan
from tests.support.servers import server_directory
from tests.support.waiting import eventually

pytestmark = pytest.mark.patient

MODEL = "demo"
CREDENTIALS = [f"sk-{number}" for number in range(6)]
STREAM = {"chunks": 20, "delay_ms": 50}
READERS, WRITERS = ("dispatcher", "health"), ("console",)
WITHIN_S = 10.0


def master(version: int) -> str:
    return f"{version}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


OLD, NEW = master(1), master(2)


class Rig:
    """A stack whose master keys stand in a file, as containers have them.

    Attributes:
        stack: see there.
        key: of a client.
    """

    def __init__(self, stack: LiveStack, key: str, masters: Path, http: aiohttp.ClientSession) -> None:
        self.stack, self.key, self._masters, self._http = stack, key, masters, http

    async def give(self, masters: str, roles: tuple[str, ...], running: Load | None = None) -> None:
        """Restart the processes of some roles, one by one, with these master keys."""
        self._masters.write_text(masters)
        for role in roles:
            for index in range(len(self.stack.ready.processes[role])):
                pid = self.stack.signal(role, index, number=signal.SIGTERM)
                await self.stack.restarted(role, index, pid)
                if running is not None:
                    await running.progress(10)

    async def reseal(self) -> tuple[int, Any]:
        """Return the status and the answer of sealing anew."""
        url = f"{self.stack.ready.console_url}/admin/v1/credentials/reseal"
        async with self._http.post(url, headers={"authorization": f"Bearer {self.stack.ready.admin_key}"}) as response:
            return response.status, msgspec.json.decode(await response.read())


@pytest.fixture
def stack_and_key() -> Iterator[tuple[LiveStack, str, Path]]:
    with server_directory("masters") as directory:
        masters = directory / "masters"
        masters.write_text(OLD)
        plan = StackPlan(edges=1, dispatchers=2)
        plan.environment = {"TRUNKLINE_GRACE_S": "15", "TRUNKLINE_MASTER_KEYS_FILE": str(masters)}
        plan.channel("only", MODEL, credentials=CREDENTIALS)
        key = plan.account("acme")
        with plan.running() as stack:
            yield stack, key, masters


async def test_a_new_master_key_takes_over_and_nobody_fails(stack_and_key: tuple[LiveStack, str, Path]) -> None:
    stack, key, masters = stack_and_key
    async with session() as http:
        rig, client = Rig(stack, key, masters, http), ChatClient(http, key, MODEL)

        async def request(number: int) -> Outcome:
            stream = number % 3 == 0
            script = STREAM if stream else {"first_delay_ms": 20}
            return await client.chat_anywhere(stack.edges, 0, script, stream=stream)

        async with load(request, workers=8) as running:
            await running.progress(20)
            # The wrong order is noticed: what the readers could not open is not sealed.
            await rig.give(f"{OLD},{NEW}", WRITERS, running)
            status, said = await rig.reseal()
            assert (status, "not hold master key 2" in said["error"]["message"]) == (409, True)

            await rig.give(f"{OLD},{NEW}", READERS, running)
            status, said = await rig.reseal()
            assert (status, said["newest"], said["resealed"]) == (200, 2, len(CREDENTIALS))
            assert said["sealed"] == [{"master": 2, "credentials": len(CREDENTIALS), "apps": 0, "known": True}]
            await running.progress(20)
            assert (await rig.reseal())[1]["resealed"] == 0

            await rig.give(NEW, READERS + WRITERS, running)
            await running.progress(20)
        assert_proper(running.outcomes, {Ending.WHOLE})
        assert (await stack.admin(http, "POST", "/channels/only/test"))["result"] == "passed"
        await _says_what_it_misses(rig)


async def _says_what_it_misses(rig: Rig) -> None:
    """A process that has only the old key is of no use, and its log says why."""
    await rig.give(OLD, ("health",))
    log = rig.stack.logs / "data" / "logs" / "health-1.log"

    async def look() -> bool:
        return "is sealed with master key 2, which is not in TRUNKLINE_MASTER_KEYS here" in log.read_text()

    await eventually(look, within_s=WITHIN_S, what="health says it")
