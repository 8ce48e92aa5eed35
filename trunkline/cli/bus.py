"""A connection to NATS for commands that look at it themselves; says what is wrong when there is none."""

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator
from typing import Any

from trunkline.cli.failure import CLIError
from trunkline.cli.settings import BusAccess
from trunkline.runtime import config

CONNECT_TIMEOUT_S = 5

RETRY_S = 0.1
"""Before the one more try that nats-py makes with each server."""


@contextlib.asynccontextmanager
async def connected(access: BusAccess, *, name: str) -> AsyncIterator[Any]:
    """Lend a nats-py client.

    Args:
        access: where NATS is, and as whom.
        name: of this client, for the broker's monitoring.

    Raises:
        SettingsError: a file of TLS cannot be used.
        CLIError: NATS does not answer, refuses the user, or wants or lacks TLS.
    """
    # By name: only the commands that use it need the driver, and loading it takes longer than --help may.
    errors, client = importlib.import_module("nats.errors"), importlib.import_module("nats.aio.client").Client()
    tls = config.load(importlib.import_module("trunkline.runtime.tls_settings").NATSTLSSettings).nats_tls()
    said: list[str] = []

    async def complained(error: Exception) -> None:
        said.append(str(error))

    try:
        options = importlib.import_module("trunkline.runtime.jetstream_client").tls_options
        await client.connect(
            access.nats_url.split(","),
            name=name,
            error_cb=complained,
            connect_timeout=CONNECT_TIMEOUT_S,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=RETRY_S,
            **options(client, access.nats_url, tls),
        )
    except (errors.Error, OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as error:
        await client.close()
        raise CLIError(_cause([*said, str(error), type(error).__name__])) from error
    try:
        yield client
    finally:
        await client.close()


def _cause(words: list[str]) -> str:
    text = " ".join(words).lower()
    if "authorization" in text or "authentication" in text:
        return "NATS refuses the user: correct user and password in NATS_URL"
    if "secure" in text or "ssl" in text or "certificate" in text or "tls" in text:
        return "NATS and this command do not agree on TLS: see the scheme of NATS_URL and the certificates"
    return "NATS does not answer: start it, or correct NATS_URL"
