"""What all end-to-end tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import server_directory


@pytest.fixture
def stack_directory() -> Iterator[Path]:
    """A folder for one stack, reachable by the user that Postgres runs as, removed afterwards."""
    with server_directory("dev") as directory:
        yield directory
