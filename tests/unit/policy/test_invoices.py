"""Months and bounds of invoices."""

import datetime as dt

import pytest

from trunkline.policy.invoice_words import WORDS
from trunkline.policy.invoices import (
    ENTRIES_MAX,
    MODELS_MAX,
    BillingDetails,
    InvoiceEntry,
    InvoiceLine,
    bounded_entries,
    bounded_lines,
    check_billing,
    invoice_number,
    is_final,
    month_span,
    parse_month,
)
from trunkline.policy.strict import FaultList

JANUARY = dt.date(2030, 1, 1)


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("2030-01", JANUARY),
        ("2030-12", dt.date(2030, 12, 1)),
        ("2030-13", None),
        ("2030-00", None),
        ("0001-01", None),
        ("2030-1", None),
        ("2030-01-01", None),
        ("２０３０-01", None),  # noqa: RUF001 - digits that are none of ours
        ("", None),
    ],
)
def test_months(text: str, month: dt.date | None) -> None:
    assert parse_month(text) == month


def test_a_month_is_in_utc_and_final_a_day_after_its_end() -> None:
    end = dt.datetime(2030, 2, 1, tzinfo=dt.UTC)
    assert month_span(JANUARY) == (dt.datetime(2030, 1, 1, tzinfo=dt.UTC), end)
    assert month_span(dt.date(2030, 12, 1))[1] == dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
    assert not is_final(JANUARY, end + dt.timedelta(hours=23, minutes=59))
    assert is_final(JANUARY, end + dt.timedelta(days=1))


def test_a_number_is_the_same_whenever_it_is_made() -> None:
    assert invoice_number(12, JANUARY) == "203001-000012"
    assert invoice_number(12_345_678, JANUARY) == "203001-12345678"


def test_what_is_beyond_the_bounds_is_one_line_and_the_sum_stays() -> None:
    lines = [InvoiceLine(f"m{number}", 1, {"input": 2, "output": number}, number) for number in range(MODELS_MAX + 3)]
    found = bounded_lines(lines)
    assert len(found) == MODELS_MAX + 1
    assert found[0].model == f"m{MODELS_MAX + 2}"
    assert found[-1] == InvoiceLine("", 3, {"input": 6, "output": 0 + 1 + 2}, 0 + 1 + 2)
    assert sum(line.amount_nano for line in found) == sum(line.amount_nano for line in lines)
    at = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    entries = [InvoiceEntry(at, "payment", f"p{number}", 5) for number in range(ENTRIES_MAX + 2)]
    assert bounded_entries(entries)[-1] == InvoiceEntry(None, "", "", 10)
    assert bounded_entries(entries[:3]) == tuple(entries[:3])


@pytest.mark.parametrize(
    ("details", "faults"),
    [
        (BillingDetails("Lab\nRoom 1", "VAT 1"), []),
        (BillingDetails("x\n" * 11), ["address: must have at most 600 characters in 10 lines"]),
        (BillingDetails(tax="x" * 601), ["tax: must have at most 600 characters in 10 lines"]),
        (BillingDetails("a\x00b"), ["address: must not hold control characters"]),
    ],
)
def test_billing_details_are_bounded(details: BillingDetails, faults: list[str]) -> None:
    found = FaultList()
    check_billing(details, found)
    assert found.faults == faults


def test_every_language_has_a_word_for_every_kind() -> None:
    english, chinese = WORDS["en"], WORDS["zh"]
    assert english.kinds.keys() == chinese.kinds.keys()
    assert list(english.unit_kinds) == list(chinese.unit_kinds)
