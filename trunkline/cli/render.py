"""What the commands show: tables and lines from the admin API's structs. Pure but for `show`."""

import datetime as dt
import unicodedata
from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from trunkline.core.money import usd_text
from trunkline.policy import routing_text
from trunkline.policy.admin_api import ChannelView, Check, CredentialView, ModelView, UsageRow
from trunkline.policy.change_text import prices_text
from trunkline.policy.changes import Change

_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red"), "grant": ("$", "green")}


def show(*parts: RenderableType) -> None:
    """Print to standard output; plain when it is no terminal."""
    console = Console(highlight=False, soft_wrap=True)
    for part in parts:
        console.print(part, markup=False)


def printable(text: str) -> str:
    """Return a text without the control characters by which it could steer a terminal; line ends and tabs stay."""
    return "".join(
        character for character in text if character in "\n\t" or unicodedata.category(character) not in {"Cc", "Cf"}
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[str] = frozenset()) -> Table:
    """Return a table of plain texts."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        # As Text: names come from people and may look like rich's markup.
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made


def usd(nano: int | None) -> str:
    """Return an amount for a table."""
    return "-" if nano is None else usd_text(nano)


def listed(names: Iterable[str]) -> str:
    """Return names for a table."""
    return ", ".join(names) or "-"


def moment_text(moment: dt.datetime | None) -> str:
    """Return a moment for a table."""
    return "-" if moment is None else moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M")


def channels(views: Sequence[ChannelView]) -> Table:
    """Return channels, one a line."""
    return table(
        ("channel", "state", "dialect", "base URL", "groups", "priority", "weight", "credentials", "models"),
        (
            (
                view.name,
                _state(view),
                view.dialect,
                view.base_url,
                listed(view.groups),
                str(view.priority),
                str(view.weight),
                str(len(view.credentials)),
                str(len(view.models)),
            )
            for view in views
        ),
        right=frozenset({"priority", "weight", "credentials", "models"}),
    )


def _state(view: ChannelView) -> str:
    if not view.enabled:
        return "disabled"
    return "drained" if view.drained else "enabled"


def channel(view: ChannelView) -> list[RenderableType]:
    """Return all that can be known of one channel."""
    rules = {
        "timeouts": routing_text.timeouts_text(view.timeouts),
        "params": routing_text.rules_text(view.params),
        "overrides": routing_text.overrides_text(view.overrides),
        "headers": routing_text.headers_text(view.headers),
        "status map": routing_text.status_map_text(view.status_map),
        "probe": routing_text.probe_text(view.probe),
        "credential order": str(view.credential_order),
        "limits of each credential": routing_text.credential_limits_text(view.limits),
    }
    lines = "\n".join(f"{name}: {printable(text)}" for name, text in rules.items())
    models = table(
        ("model", "upstream", "cost per million, USD"),
        ((name, upstream, prices_text(view.costs.get(name, {}))) for name, upstream in view.models.items()),
    )
    return [channels([view]), Text(f"\n{lines}\n"), models, Text(), credentials(view.credentials)]


def credentials(views: Iterable[CredentialView]) -> Table:
    """Return a channel's credentials with their shares and limits."""
    return table(
        ("credential", "mark", "weight", "limits", "since"),
        (
            (
                str(one.id),
                one.mark,
                str(one.weight),
                routing_text.credential_limits_text(one.limits),
                moment_text(one.created_at),
            )
            for one in views
        ),
        right=frozenset({"credential", "weight"}),
    )


def models(views: Sequence[ModelView]) -> Table:
    """Return models with their prices and who serves them."""
    return table(
        ("model", "lane", "price per million, USD", "from", "channels"),
        (
            (
                view.name,
                view.lane,
                "free" if view.free else prices_text(view.prices),
                view.price_source,
                listed(view.channels),
            )
            for view in views
        ),
    )


def model(view: ModelView) -> list[RenderableType]:
    """Return all that can be known of one model."""
    return [models([view]), Text(f"\nrouting: {printable(routing_text.model_routing_text(view.routing))}")]


def usage(rows: Sequence[UsageRow], by: Sequence[str]) -> Table:
    """Return sums, the dimensions that were asked for first."""
    figures = ("attempts", "answers", "input", "cached", "output", "charged USD", "cost USD")

    def cells(row: UsageRow) -> list[str]:
        counts = (row.attempts, row.answers, row.input_tokens, row.cache_read_tokens, row.output_tokens)
        dimensions = [str(getattr(row, name)) for name in by]
        return [*dimensions, *map(str, counts), usd_text(row.charge_nano), usd_text(row.cost_nano)]

    return table((*by, *figures), map(cells, rows), right=frozenset(figures))


def changes(found: Sequence[Change], *, dry_run: bool) -> Text:
    """Return a diff."""
    lines = Text()
    for change in found:
        sign, colour = _SIGNS[change.action]
        lines.append(f"{sign} {change.kind} {printable(change.name)}\n", style=colour)
        for field in change.fields:
            after = printable(field.after)
            detail = after if change.action == "create" else f"{printable(field.before)} → {after}"
            lines.append(f"    {field.field}: {detail}\n")
    if not found:
        lines.append("Nothing to change.")
    else:
        count = f"{len(found)} change" + ("s" if len(found) > 1 else "")
        lines.append(f"{count} would be made." if dry_run else f"{count} made.")
    return lines


def checks(found: Sequence[Check]) -> Text:
    """Return what a doctor found, one line each."""
    lines = Text()
    for number, check in enumerate(found):
        sign, colour = ("FAIL", "red") if not check.ok else ("warn", "yellow") if check.warning else ("ok  ", "green")
        lines.append("\n" if number else "")
        lines.append(sign, style=colour)
        since = f" Since {moment_text(check.since)}." if check.since is not None else ""
        lines.append(f"  {check.name}: {printable(check.message)}{since}")
    return lines
