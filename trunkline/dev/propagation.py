"""From applied to known: waits until a configuration has reached those who act on it. Called by `dev.stack`.

It takes some milliseconds; but whoever reads the ready file may send a request in the next one. What does not come
in time is logged and left: a key that has expired is never accepted, and everything else works all the same.
"""

import re
from collections.abc import Awaitable, Callable

import structlog

from trunkline.core.clock import Clock
from trunkline.dev.http_call import CallError, call
from trunkline.policy.configuration import Configuration
from trunkline.store import outbox
from trunkline.store.database import StoreError, single_connection

log = structlog.get_logger()

TIMEOUT_S = 10.0
POLL_S = 0.02
QUERY_TIMEOUT_S = 2.0

_CHANNELS = re.compile(rb"^trunkline_dispatcher_channels (\d+)", re.MULTILINE)


async def wait_for_projection(dsn: str, clock: Clock) -> None:
    """Return once the console has written every change to the snapshots."""

    async def projected() -> bool:
        try:
            async with single_connection(
                dsn, application="trunkline-dev", command_timeout_s=QUERY_TIMEOUT_S
            ) as connection:
                return await outbox.backlog(connection) == 0
        except StoreError:
            return False

    await _wait(projected, clock, "configuration_not_projected")


async def wait_for_channels(ops_url: str, configuration: Configuration, clock: Clock) -> None:
    """Return once a dispatcher knows as many channels as the configuration gives it."""
    # Those of other dialects it may refuse; see its own log.
    wanted = sum(channel.dialect == "openai" and channel.enabled is not False for channel in configuration.channels)

    async def known() -> bool:
        try:
            answer = await call("GET", f"{ops_url}/metrics")
        except CallError:
            return False
        found = _CHANNELS.search(answer.body)
        return found is not None and int(found[1]) >= wanted

    await _wait(known, clock, "channels_not_known", dispatcher=ops_url)


async def wait_for_key(base_url: str, api_key: str, clock: Clock) -> None:
    """Return once an edge accepts a key."""

    async def accepted() -> bool:
        try:
            answer = await call("GET", f"{base_url}/v1/models", bearer=api_key)
        except CallError:
            return False
        return answer.status < 500 and answer.status != 401

    await _wait(accepted, clock, "key_not_accepted", edge=base_url)


async def _wait(look: Callable[[], Awaitable[bool]], clock: Clock, event: str, **fields: str) -> None:
    deadline = clock.now() + TIMEOUT_S
    while not await look():
        if clock.now() > deadline:
            log.warning(event, **fields)
            return
        await clock.sleep(POLL_S)
