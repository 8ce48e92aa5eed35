"""What `trunkline prices` and `trunkline costs` show. Pure."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from trunkline.cli.render import moment_text, table
from trunkline.core.money import usd_text
from trunkline.policy.admin_api import Comparison, PriceVersionView
from trunkline.policy.change_text import prices_text


def versions(views: Sequence[PriceVersionView]) -> Table:
    """Return a history, the newest first."""
    return table(
        ("version", "model", "state", "from", "source", "per million, USD", "over the list"),
        (
            (
                str(view.id),
                view.model,
                view.state,
                moment_text(view.effective_from),
                view.source or "-",
                prices_text(view.prices),
                prices_text(view.overrides) if view.overrides else "-",
            )
            for view in views
        ),
        right=frozenset({"version"}),
    )


def comparison(found: Comparison) -> list[RenderableType]:
    """Return what was used, and what it would have cost elsewhere, the cheapest first."""
    figures = ("requests", "input", "output", "paid USD")
    used = table(
        ("used", *figures),
        (
            (row.model, str(row.requests), str(row.input_tokens), str(row.output_tokens), usd_text(row.paid_nano))
            for row in found.used
        ),
        right=frozenset(figures),
    )
    costs = ("would cost USD", "difference USD", "of it unmoved USD")
    models = table(
        ("on model", *costs),
        (
            (
                row.model,
                usd_text(row.cost_nano),
                usd_text(row.cost_nano - found.paid_nano),
                usd_text(row.kept_nano),
            )
            for row in found.models
        ),
        right=frozenset(costs),
    )
    head = f"{found.account} in {found.month} (UTC), at the prices of {moment_text(found.prices_at)}\n"
    left_out = f"\nCould have served nothing of it: {', '.join(found.left_out)}." if found.left_out else ""
    return [Text(head), used, Text(), models, Text(f"\n{found.note}{left_out}")]
