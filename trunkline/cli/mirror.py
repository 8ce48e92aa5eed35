"""`trunkline mirror`: the buckets of the home region, in another one (docs/operating/regions.md)."""

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
    replicas: Annotated[int, typer.Option(min=1, help="Nodes of this region's NATS that hold each bucket.")] = 1,
) -> None:
    """Make a region's copies of the configuration that home writes; NATS_URL is the region's own."""
    mirrors = importlib.import_module("trunkline.runtime.bucket_mirrors")
    access = config.load(BusAccess)

    async def run() -> Any:
        async with bus.connected(access, name="trunkline-mirror") as client:
            return await mirrors.mirror_buckets(client, home, replicas)

    try:
        made = asyncio.run(run())
    except mirrors.MirrorError as error:
        raise CLIError(str(error)) from error
    rows = [(each.bucket, "made" if each.made else "there", str(each.entries), str(each.lag)) for each in made]
    render.show(render.table(("bucket", "", "messages", "to come"), rows, right=frozenset({"messages", "to come"})))
