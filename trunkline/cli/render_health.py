"""What the commands for the health of channels and credentials show. Pure."""

from collections.abc import Sequence

from rich.table import Table

from trunkline.cli.render import moment_text, table
from trunkline.policy.admin_health import CredentialStateView, HistoryRow
from trunkline.policy.admin_supply import Resealed


def credentials(views: Sequence[CredentialStateView]) -> Table:
    """Return credentials, one a line."""
    return table(
        ("channel", "credential", "mark", "state", "since", "last refusal", "last news"),
        (
            (
                view.channel,
                str(view.id),
                view.mark,
                "serving" if view.refused_at is None else "refused",
                moment_text(view.refused_at),
                "-" if view.status is None else str(view.status),
                moment_text(view.heard_at),
            )
            for view in views
        ),
        right=frozenset({"credential", "last refusal"}),
    )


def sealed(done: Resealed) -> Table:
    """Return how much each master key seals, a version a line."""
    return table(
        ("master key", "credentials", "authenticator apps", "the console has it"),
        (
            (str(count.master), str(count.credentials), str(count.apps), "yes" if count.known else "no")
            for count in done.sealed
        ),
        right=frozenset({"master key", "credentials", "authenticator apps"}),
    )


def history(rows: Sequence[HistoryRow]) -> Table:
    """Return what a channel was like, the newest first."""
    figures = ("passed", "failed", "first token ms", "serving s", "ejected s", "probing s")
    return table(
        ("from", *figures),
        (
            (
                moment_text(row.at),
                str(row.successes),
                str(row.failures),
                "-" if row.first_token_ms is None else str(row.first_token_ms),
                str(row.serving_s),
                str(row.ejected_s),
                str(row.probing_s),
            )
            for row in rows
        ),
        right=frozenset(figures),
    )
