"""What all end-to-end tests share."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import server_directory
from tests.support.surface import BODY_BYTES_MAX, READ_TIMEOUT_S, Surface, configuration, running_surface

# A shell without job control starts what it puts into the background with SIGINT ignored, and processes inherit that:
# programs that a test interrupts would not notice.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def stack_directory() -> Iterator[Path]:
    """A folder for one stack, reachable by the user that Postgres runs as, removed afterwards."""
    with server_directory("dev") as directory:
        yield directory


@pytest.fixture(scope="session")
def surface() -> Iterator[Surface]:
    """A running stack for all tests of what clients see: the demo, and channels that rename, limit and refuse."""
    settings = {
        "TRUNKLINE_REQUEST_READ_TIMEOUT_S": f"{READ_TIMEOUT_S:g}",
        "TRUNKLINE_BODY_BYTES_MAX": str(BODY_BYTES_MAX),
        # All these tests come from one address, and many bring a wrong key.
        "TRUNKLINE_FAILED_KEYS_PER_MINUTE": "100000",
    }
    with running_surface(settings=settings) as surface:
        surface.admin("POST", "/apply", configuration(surface.ready.upstream_url))
        for model in ("vendor/model:free", "limited", "refusing", "renamed"):
            surface.wait_for_status(surface.ready.api_key, 200, f"/v1/models/{model}")
        yield surface
