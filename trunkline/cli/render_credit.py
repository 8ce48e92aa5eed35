"""What the commands for the ledger and for credit show. Pure."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from trunkline.cli.render import moment_text, table
from trunkline.core.money import usd_text
from trunkline.policy.admin_credit import LedgerStep, StatementLine


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
