"""`trunkline channels` and `trunkline models`."""

import typer

from trunkline.cli import admin, render

channels = typer.Typer(no_args_is_help=True, help="Upstreams: channels and their state.")
models = typer.Typer(no_args_is_help=True, help="Public models, their prices and who serves them.")


@channels.command("list")
def list_channels() -> None:
    """List all channels."""
    render.show(render.channels(admin.connect().list_channels()))


@channels.command("show")
def show_channel(name: str) -> None:
    """Show a channel's models, costs, rules and credentials (never their secrets)."""
    render.show(*render.channel(admin.connect().show_channel(name)))


@channels.command("enable")
def enable_channel(name: str) -> None:
    """Let a channel take jobs."""
    render.show(render.channels([admin.connect().enable_channel(name)]))


@channels.command("disable")
def disable_channel(name: str) -> None:
    """Keep jobs and probes from a channel; what runs goes on."""
    render.show(render.channels([admin.connect().disable_channel(name)]))


@channels.command("drain")
def drain_channel(name: str) -> None:
    """Give a channel no new jobs; what runs goes on, and probes, too."""
    render.show(render.channels([admin.connect().drain_channel(name)]))


@channels.command("undrain")
def undrain_channel(name: str) -> None:
    """Give a drained channel jobs again."""
    render.show(render.channels([admin.connect().undrain_channel(name)]))


@channels.command("delete")
def delete_channel(name: str) -> None:
    """Delete a channel with its credentials."""
    admin.connect().delete_channel(name)
    render.show(f"deleted channel {name}")


@models.command("list")
def list_models() -> None:
    """List all models."""
    render.show(render.models(admin.connect().list_models()))


@models.command("show")
def show_model(name: str) -> None:
    """Show a model's price, who serves it, and how its jobs are routed."""
    render.show(*render.model(admin.connect().show_model(name)))
