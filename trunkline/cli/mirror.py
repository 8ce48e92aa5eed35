"""`trunkline mirror`: the buckets and the usage of the home region, in another one (docs/operating/regions.md)."""

import asyncio
import importlib
from typing import Annotated, Any

import typer

from trunkline.cli import bus, render
from trunkline.cli.failure import CLIError
from trunkline.cli.settings import BusAccess
from trunkline.runtime import config


def mirror(
    home: Annotated[str, typer.Option(help="JetStream domain of the home region.")],
    replicas: Annotated[int, typer.Option(min=1, help="Nodes of this region's NATS that hold each copy.")] = 1,
) -> None:
    """Make a region's copies of home's configuration and usage; NATS_URL is the region's own."""
    mirrors = importlib.import_module("trunkline.runtime.bucket_mirrors")
    access = config.load(BusAccess)

    async def run() -> Any:
        async with bus.connected(access, name="trunkline-mirror") as client:
            return await mirrors.mirror_home(client, home, replicas)

    try:
        made = asyncio.run(run())
    except mirrors.MirrorError as error:
        raise CLIError(str(error)) from error
    rows = [(each.name, _state(each), str(each.entries), str(each.lag)) for each in made]
    render.show(render.table(("copy", "", "messages", "to come"), rows, right=frozenset({"messages", "to come"})))


def _state(mirror: Any) -> str:
    if mirror.made:
        return "made"
    return "woken" if mirror.woken else "there"
