"""Tables of logins. Pure."""

from collections.abc import Sequence

from rich.table import Table

from trunkline.cli.render import listed, moment_text, table
from trunkline.policy.admin_identity import LoginView


def logins(views: Sequence[LoginView]) -> Table:
    """Return logins, with the accounts that they are users of."""
    return table(
        ("login", "state", "operator", "address", "second factor", "accounts", "signed in", "since"),
        (
            (
                view.name,
                view.state.value,
                "yes" if view.operator else "-",
                view.email or "-",
                "yes" if view.totp else "-",
                listed(f"{place.name} ({place.role.value})" for place in view.accounts),
                moment_text(view.signed_in_at),
                moment_text(view.created_at),
            )
            for view in views
        ),
    )
