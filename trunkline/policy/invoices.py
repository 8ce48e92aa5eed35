"""An account's invoices: one per calendar month in UTC, made of the ledger whenever somebody asks. Pure.

A charge counts in the month in which its attempt ended, as in the ledger. What was used, by model, is known by the day
on which attempts began; what began in one month and ended in another is a line of its own, so that the lines always
add up to what the ledger says, and stay the same for good, also when single attempts are forgotten.
"""

import datetime as dt
import re
from typing import Final

import msgspec

from trunkline.policy.strict import FaultList

FINAL_AFTER: Final = dt.timedelta(days=1)
"""How long after its end a month becomes final: usage that waits in spools is settled with the time of its attempts."""

MODELS_MAX: Final = 500
"""Lines of models, those that cost most; the rest are one line. Ten pages."""

ENTRIES_MAX: Final = 500
"""Lines of top-ups and corrections, the first ones; the rest are one line."""

ADDRESS_CHARS_MAX: Final = 600
LINES_MAX: Final = 10
"""Of an address or tax details: what fits beside the heading."""

CHARGE: Final = "charge"
REFUND: Final = "refund"

_MONTH: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_YEAR_MIN: Final = 2000


class BillingDetails(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom an account's invoices are made out to.

    Attributes:
        address: name and address, of some lines; the account's name alone if empty.
        tax: tax number and the like, of some lines.
    """

    address: str = ""
    tax: str = ""


class InvoiceLine(msgspec.Struct, frozen=True):
    """What was used of a model.

    Attributes:
        model: its name; empty for all that are beyond `MODELS_MAX`.
        requests: that were charged.
        units: by the kinds of `core.usage.Units`, of all attempts, also of those that failed.
        amount_nano: what was charged for it.
    """

    model: str
    requests: int
    units: dict[str, int]
    amount_nano: int


class InvoiceEntry(msgspec.Struct, frozen=True):
    """A transfer to or from the wallet that is no charge and no refund.

    Attributes:
        at: when; None for all that are beyond `ENTRIES_MAX`.
        kind: as in the ledger.
        reference: its name.
        amount_nano: below zero if it was taken away.
    """

    at: dt.datetime | None
    kind: str
    reference: str
    amount_nano: int


class Invoice(msgspec.Struct, frozen=True):
    """An account's month. Amounts are nano-USD.

    Attributes:
        number: see `invoice_number`.
        account: name.
        billing: see there.
        month: its first day.
        as_of: when it was made.
        final: whether nothing can change any more.
        opening_nano, closing_nano: what was in the wallet before and after; after, of a month that runs: now.
        charged_nano: all charges, as in the ledger.
        lines: by model, the highest amount first.
        refunds: how many there were.
        refunded_nano: what they gave back.
        entries: in their order.
    """

    number: str
    account: str
    billing: BillingDetails
    month: dt.date
    as_of: dt.datetime
    final: bool
    opening_nano: int
    closing_nano: int
    charged_nano: int
    lines: tuple[InvoiceLine, ...]
    refunds: int
    refunded_nano: int
    entries: tuple[InvoiceEntry, ...]

    @property
    def across_months_nano(self) -> int:
        """What was charged here and began in another month, less what began here and was charged in another."""
        return self.charged_nano - sum(line.amount_nano for line in self.lines)

    @property
    def entries_nano(self) -> int:
        """The sum of the entries."""
        return sum(entry.amount_nano for entry in self.entries)


class InvoiceSummary(msgspec.Struct, frozen=True):
    """A month in which something was booked; fields as in `Invoice`.

    Attributes:
        month: ``2030-01``.
        credited_nano: top-ups and corrections together.
    """

    month: str
    number: str
    final: bool
    opening_nano: int
    charged_nano: int
    refunded_nano: int
    credited_nano: int
    closing_nano: int


def invoice_number(account_id: int, month: dt.date) -> str:
    """Return the number of an invoice: the same one whenever it is made."""
    return f"{month:%Y%m}-{account_id:06d}"


def parse_month(text: str) -> dt.date | None:
    """Return the first day of a month such as ``2030-01``; None if it is none."""
    match = _MONTH.fullmatch(text)
    if match is None or int(match[1]) < _YEAR_MIN or not 1 <= int(match[2]) <= 12:
        return None
    return dt.date(int(match[1]), int(match[2]), 1)


def month_span(month: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """Return the moments at which a month begins and ends, in UTC."""
    start = dt.datetime(month.year, month.month, 1, tzinfo=dt.UTC)
    return start, (start + dt.timedelta(days=32)).replace(day=1)


def is_final(month: dt.date, now: dt.datetime) -> bool:
    """Return whether nothing can change any more of a month's invoice."""
    return now >= month_span(month)[1] + FINAL_AFTER


def bounded_lines(lines: list[InvoiceLine]) -> tuple[InvoiceLine, ...]:
    """Return the lines in their order, those beyond `MODELS_MAX` as one."""
    ordered = sorted(lines, key=lambda line: (-line.amount_nano, line.model))
    rest = ordered[MODELS_MAX:]
    if not rest:
        return tuple(ordered)
    units: dict[str, int] = {}
    for line in rest:
        for kind, count in line.units.items():
            units[kind] = units.get(kind, 0) + count
    others = InvoiceLine("", sum(line.requests for line in rest), units, sum(line.amount_nano for line in rest))
    return (*ordered[:MODELS_MAX], others)


def bounded_entries(entries: list[InvoiceEntry]) -> tuple[InvoiceEntry, ...]:
    """Return the entries, those beyond `ENTRIES_MAX` as one."""
    rest = entries[ENTRIES_MAX:]
    if not rest:
        return tuple(entries)
    return (*entries[:ENTRIES_MAX], InvoiceEntry(None, "", "", sum(entry.amount_nano for entry in rest)))


def check_billing(details: BillingDetails, faults: FaultList) -> None:
    """Note what is wrong with billing details."""
    for name in ("address", "tax"):
        text: str = getattr(details, name)
        lines = text.splitlines()
        if len(text) > ADDRESS_CHARS_MAX or len(lines) > LINES_MAX:
            faults.add(name, f"must have at most {ADDRESS_CHARS_MAX} characters in {LINES_MAX} lines")
        if any(not line.isprintable() for line in lines):
            faults.add(name, "must not hold control characters")
