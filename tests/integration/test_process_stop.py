"""The skeleton of a service, as a process that is told to stop."""

# ruff: noqa: S603 - a real process of ours

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import free_port
from tests.support.stack import until

BEGINS_WITHIN_S = 60.0
ENDS_WITHIN_S = 20.0

SERVICE = """
import asyncio
import contextlib

from trunkline.runtime import process


@contextlib.asynccontextmanager
async def opened(running, settings):
    process.log.info("opening")
    await asyncio.Event().wait()  # for what it reads of the bus
    yield


process.main("console", process.ProcessSettings, opened, ops_port=0)
"""


@pytest.mark.usefixtures("bus")
def test_it_ends_while_its_service_still_waits_for_the_bus(nats_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = {"PATH": os.defpath, "NATS_URL": nats_url, "TRUNKLINE_OPS_PORT": str(free_port())}
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", SERVICE], stdout=output, stderr=output, env=environment)
    try:
        until(lambda: '"event":"opening"' in log.read_text(), BEGINS_WITHIN_S, "the service is being opened")
        process.send_signal(signal.SIGTERM)
        assert process.wait(ENDS_WITHIN_S) == 0
    finally:
        process.kill()
        process.wait()
    assert '"event":"process_stopped"' in log.read_text()
