"""What the commands for the ledger and for credit show. Pure."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from trunkline.cli.render import listed, moment_text, printable, table, usd
from trunkline.core.money import usd_text
from trunkline.policy.admin_credit import (
    AlertsView,
    AlertView,
    CodeBatch,
    LedgerStep,
    PaymentView,
    Savings,
    StatementLine,
)


def checks(steps: Sequence[LedgerStep]) -> Text:
    """Return what was looked at, one line each."""
    lines = Text()
    for number, step in enumerate(steps):
        sign, colour = ("FAIL", "red") if step.findings else ("ok  ", "green")
        lines.append("\n" if number else "")
        lines.append(sign, style=colour)
        lines.append(f"  {step.step}")
    return lines


def findings(steps: Sequence[LedgerStep]) -> Table:
    """Return what is wrong."""
    return table(
        ("check", "subject", "found", "expected"),
        ((step.step, one.subject, one.found, one.expected) for step in steps for one in step.findings),
    )


def statement(lines: Sequence[StatementLine]) -> Table:
    """Return a wallet's statement, the newest first."""
    return table(
        ("when", "kind", "USD", "reference", "corrects"),
        (
            (moment_text(line.occurred_at), line.kind, usd_text(line.amount_nano), line.reference, line.corrects or "-")
            for line in lines
        ),
        right=frozenset({"USD"}),
    )


def payments(views: Sequence[PaymentView]) -> Table:
    """Return payments, the newest first."""
    return table(
        ("received", "provider", "reference", "for", "amount", "currency", "account", "USD", "kept aside because of"),
        (
            (
                moment_text(view.received_at),
                view.provider,
                view.reference,
                view.named or "-",
                str(view.amount),
                view.currency,
                view.account or "-",
                usd(view.amount_nano),
                view.reason or "-",
            )
            for view in views
        ),
        right=frozenset({"amount", "USD"}),
    )


def batches(views: Sequence[CodeBatch]) -> Table:
    """Return batches of codes, the newest first."""
    return table(
        ("batch", "USD", "codes", "redeemed", "since", "expires", "withdrawn", "note"),
        (
            (
                str(view.id),
                usd_text(view.amount_nano),
                str(view.codes),
                str(view.redeemed),
                moment_text(view.created_at),
                moment_text(view.expires_at),
                moment_text(view.withdrawn_at),
                view.note or "-",
            )
            for view in views
        ),
        right=frozenset({"batch", "USD", "codes", "redeemed"}),
    )


def alert_terms(view: AlertsView) -> Text:
    """Return when and where somebody is told."""
    below = "-" if view.balance_below_nano is None else f"{usd_text(view.balance_below_nano)} USD"
    lines = (
        f"budgets at: {listed(f'{percent} %' for percent in view.budget_percent)}",
        f"balance below: {below}",
        f"email: {listed(view.email)}",
        f"webhook: {view.webhook or '-'}",
        f"webhooks are signed with: {view.signing_secret}",
    )
    return Text(printable("\n".join(lines)))


def alerts(views: Sequence[AlertView]) -> Table:
    """Return alerts, the newest first, a line for each address."""
    return table(
        ("alert", "when", "kind", "about", "account", "to", "state", "tries", "last error"),
        (
            (str(view.id), moment_text(view.created_at), view.kind, view.subject, view.account or "-", *way)
            for view in views
            for way in _ways(view)
        ),
        right=frozenset({"alert", "tries"}),
    )


def _ways(view: AlertView) -> list[tuple[str, str, str, str]]:
    if not view.deliveries:
        return [("nobody", "-", "-", "-")]
    return [(one.target, one.state, str(one.attempts), one.error or "-") for one in view.deliveries]


def savings(found: Savings) -> list[RenderableType]:
    """Return where an account could have paid less."""
    if not found.cheaper and not found.caching:
        return [Text(f"Nothing to save was found in what {printable(found.account)} used in {found.month}.")]
    money = ("paid USD", "would cost USD")
    cheaper = table(
        ("used", "requests", *money, "instead"),
        (
            (hint.model, str(hint.requests), usd_text(hint.paid_nano), usd_text(hint.cost_nano), hint.instead)
            for hint in found.cheaper
        ),
        right=frozenset({"requests", *money}),
    )
    figures = ("requests", "input", "from cache", "saves at most USD")
    caching = table(
        ("without the cache", *figures),
        (
            (
                hint.model,
                str(hint.requests),
                str(hint.input_tokens),
                str(hint.cache_read_tokens),
                usd_text(hint.saved_at_most_nano),
            )
            for hint in found.caching
        ),
        right=frozenset(figures),
    )
    head = Text(f"{printable(found.account)} in {found.month} (UTC)\n")
    return [
        head,
        *((cheaper, Text()) if found.cheaper else ()),
        *((caching, Text()) if found.caching else ()),
        Text(found.note),
    ]
