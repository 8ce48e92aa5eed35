"""`trunkline backup` and `trunkline restore`: what JetStream alone holds, to a folder and back (docs/operating)."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from trunkline.bus import subjects
from trunkline.cli import bus, render
from trunkline.cli.failure import CLIError
from trunkline.cli.settings import BusAccess
from trunkline.runtime import config

STREAMS = (subjects.USAGE_STREAM, subjects.CHECKPOINT_STREAM, subjects.HEALTH_STREAM)
"""Buckets are not among them: they are made of Postgres, and by health of what it sees."""


def backup(
    to: Annotated[Path, typer.Option(help="Folder to write to, made if need be.")],
) -> None:
    """Save what waits in JetStream; then, not before, back up Postgres."""
    _show(_with_streams(lambda streams, client, name: streams.save(client, name, to / name)))
    render.show("Now back up Postgres: what is settled from here on is in no stream any more.")


def restore(
    source: Annotated[Path, typer.Option("--from", help="Folder that `trunkline backup` has written.")],
) -> None:
    """Bring back what was saved: after Postgres, and before the services are started."""
    # All or nothing: half of it would be in the way of the next try.
    _with_streams(lambda streams, client, name: streams.check(client, name, source / name))
    _show(_with_streams(lambda streams, client, name: streams.restore(client, name, source / name)))


def _show(rows: list[tuple[str, str]]) -> None:
    render.show(render.table(("stream", "messages"), rows, right=frozenset({"messages"})))


def _with_streams(work: Callable[[Any, Any, str], Awaitable[Any]]) -> list[tuple[str, str]]:
    """Do something with each stream; returns how many messages each had.

    Args:
        work: gets the module that does it, a connection, and the stream's name.

    Raises:
        CLIError: it could not be done.
    """
    streams = importlib.import_module("trunkline.runtime.stream_backup")
    access = config.load(BusAccess)

    async def run() -> list[tuple[str, str]]:
        async with bus.connected(access, name="trunkline-backup") as client:
            return [(name, str((await work(streams, client, name)).messages)) for name in STREAMS]

    try:
        return asyncio.run(run())
    except streams.BackupError as error:
        raise CLIError(str(error)) from error
    except OSError as error:
        raise CLIError(f"{error.filename}: {error.strerror}") from error
