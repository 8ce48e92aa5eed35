"""Alerts: thresholds, tries, signatures, and what people read."""

import base64
import itertools
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trunkline.policy import alerts
from trunkline.policy.alert_checks import check_alerts
from trunkline.policy.alerts import AlertTerms, alerts_text, mail_subject, mail_text, reached, retry_wait_s
from trunkline.policy.configuration import AlertsEntry, SiteAlertsEntry
from trunkline.policy.configuration_values import alert_terms
from trunkline.policy.strict import FaultList
from trunkline.runtime.clock import SystemClock


@pytest.mark.parametrize(
    ("spent", "limit", "thresholds"),
    [
        (0, 1000, []),
        (499, 1000, []),
        (500, 1000, [50]),
        (799, 1000, [50]),
        (800, 1000, [50, 80]),
        (999, 1000, [50, 80]),
        (1000, 1000, [50, 80, 100]),
        (5000, 1000, [50, 80, 100]),
        (1, 3, []),
        (2, 3, [50]),
        (0, 0, []),
        (5, 0, []),
        (2**62 - 1, 2**63 - 1, []),
        (2**62, 2**63, [50]),
    ],
)
def test_a_threshold_is_reached_when_so_much_is_spent(spent: int, limit: int, thresholds: list[int]) -> None:
    assert reached((50, 80, 100), spent, limit) == thresholds


@pytest.mark.parametrize(
    ("percents", "spent", "limit", "thresholds"),
    [((50, 80, 100), 60, 100, [50, 100]), ((50, 80), 60, 100, [50]), ((100,), 0, 0, [])],
)
def test_a_budget_that_refuses_is_used_up(
    percents: tuple[int, ...], spent: int, limit: int, thresholds: list[int]
) -> None:
    assert reached(percents, spent, limit, refuses=True) == thresholds


def test_tries_are_further_and_further_apart_and_end_within_a_day() -> None:
    waits = [wait for wait in map(retry_wait_s, range(1, alerts.ATTEMPTS_MAX)) if wait is not None]
    assert waits == [10, 30, 90, 270, 810, 2430, 7290, 21600, 21600]
    assert retry_wait_s(alerts.ATTEMPTS_MAX) is None
    assert sum(waits) < 86_400
    assert all(first <= second for first, second in itertools.pairwise(waits))


def test_webhooks_are_signed_as_the_standard_says() -> None:
    """With the example of the scheme's own documentation."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = alerts.webhook_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_documented_verification_takes_what_is_genuine_and_nothing_else() -> None:
    page = (Path(__file__).parents[3] / "docs/operating/alerts.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)  # noqa: S102 - our own documentation
    now_s, body = SystemClock().wall_ms() // 1000, b'{"id":"alert-1"}'
    secret, key = alerts.signing_secret(b"pepper", 1), alerts.signing_key(b"pepper", 1)
    good = alerts.webhook_headers(key, "alert-1", now_s, body)
    assert names["verify"](secret, good, body)
    assert not names["verify"](secret, good, body + b" ")
    assert not names["verify"](secret, {**good, "webhook-id": "alert-2"}, body)
    assert not names["verify"](alerts.signing_secret(b"pepper", 2), good, body)
    assert not names["verify"](secret, alerts.webhook_headers(key, "alert-1", now_s - 301, body), body)


def test_each_account_and_the_site_have_a_secret_of_their_own() -> None:
    secrets = {alerts.signing_secret(b"pepper", account) for account in (None, 1, 2)}
    secrets.add(alerts.signing_secret(b"other pepper", 1))
    assert len(secrets) == 4
    secret = alerts.signing_secret(b"pepper", 1)
    assert base64.b64decode(secret.removeprefix("whsec_")) == alerts.signing_key(b"pepper", 1)


def test_a_mail_says_it_in_its_subject_and_all_of_it_in_its_text() -> None:
    payload = {
        "account": "acme",
        "holder": "key",
        "name": "ci",
        "budget": "daily",
        "models": ["gpt-*", "o3"],
        "percent": 80,
        "spent_usd": "4.10",
        "limit_usd": "5.00",
    }
    assert mail_subject("budget", "acme", payload) == "acme: 80 % of the daily budget of key ci is used up"
    assert mail_text("budget", "acme", payload) == (
        "acme: 80 % of the daily budget of key ci is used up\n\naccount: acme\nholder: key\nname: ci\nbudget: daily\n"
        "models: gpt-*, o3\npercent: 80\nspent usd: 4.10\nlimit usd: 5.00\n"
    )
    of_account = {**payload, "holder": "account", "name": "", "models": []}
    assert mail_subject("budget", "acme", of_account) == "acme: 80 % of the daily budget is used up"
    assert "models" not in mail_text("budget", "acme", of_account)


@pytest.mark.parametrize(
    ("kind", "payload", "subject"),
    [
        ("balance", {"below_usd": "5.00"}, "acme: the balance is below 5.00 USD"),
        ("payment_aside", {"reason": "no account named"}, "Payment acme waits for a person: no account named"),
        (
            "credential_aside",
            {"channel": "main", "credential": 7},
            "Credential 7 of channel main is refused by its provider",
        ),
        ("test", {}, "acme: this is a test"),
        ("of_the_future", {}, "acme: of_the_future"),
    ],
)
def test_each_kind_has_its_words_and_others_are_shown_as_they_are(
    kind: str, payload: dict[str, object], subject: str
) -> None:
    assert mail_subject(kind, "acme", payload) == subject


def test_a_subject_is_one_line_whatever_names_hold() -> None:
    assert mail_subject("test", "a\r\nBcc: all@example.com", {}) == "a Bcc: all@example.com: this is a test"


def test_terms_are_shown_and_sorted() -> None:
    entry = AlertsEntry(
        budget_percent=(100, 50), balance_below=Decimal(5), webhook="https://example.com/x", email=("ops@example.com",)
    )
    terms = alert_terms(entry)
    assert terms == AlertTerms((50, 100), 5_000_000_000, "https://example.com/x", ("ops@example.com",))
    assert alerts_text(terms) == (
        "budgets at 50 %, 100 %, balance below 5.00 USD, to ops@example.com, to https://example.com/x"
    )
    assert alerts_text(AlertTerms()) == "none"


HOOK = "https://example.com/hook"


@pytest.mark.parametrize(
    ("entry", "faults"),
    [
        (AlertsEntry(), []),
        (AlertsEntry(budget_percent=(1, 100), balance_below=Decimal("0.01"), webhook=HOOK), []),
        (AlertsEntry(budget_percent=(50,), email=("ops@example.com",)), []),
        (SiteAlertsEntry(email=("o'neil+x@mail.example.co",)), []),
        (AlertsEntry(budget_percent=(50,)), ["webhook: is missing, and so is email: nobody would be told"]),
        (AlertsEntry(balance_below=Decimal(5)), ["webhook: is missing, and so is email: nobody would be told"]),
        (AlertsEntry(budget_percent=(0,), webhook=HOOK), ["budget_percent[0]: must be between 1 and 100"]),
        (AlertsEntry(budget_percent=(101,), webhook=HOOK), ["budget_percent[0]: must be between 1 and 100"]),
        (AlertsEntry(budget_percent=(50, 50), webhook=HOOK), ["budget_percent[1]: is there twice"]),
        (
            AlertsEntry(budget_percent=tuple(range(1, 22)), webhook=HOOK),
            ["budget_percent: must have at most 20 thresholds"],
        ),
        (AlertsEntry(balance_below=Decimal(0), webhook=HOOK), ["balance_below: must be more than 0 USD"]),
        (AlertsEntry(balance_below=Decimal(-1), webhook=HOOK), ["balance_below: must be between 0 and 1000000000 USD"]),
        (SiteAlertsEntry(email=("a@b.c",) * 2), ["email[1]: is there twice"]),
        (SiteAlertsEntry(email=("not an address",)), ["email[0]: must be an address such as ops@example.com"]),
        (SiteAlertsEntry(email=("a@b\nBcc: c@d",)), ["email[0]: must be an address such as ops@example.com"]),
        (SiteAlertsEntry(email=("a" * 251 + "@b.c",)), ["email[0]: must be an address such as ops@example.com"]),
        (
            SiteAlertsEntry(email=tuple(f"{number}@b.c" for number in range(21))),
            ["email: must have at most 20 addresses"],
        ),
    ],
)
def test_what_cannot_be_is_said(entry: AlertsEntry | SiteAlertsEntry, faults: list[str]) -> None:
    found = FaultList()
    check_alerts(entry, "", found)
    assert found.faults == faults


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.com/",
        "https://",
        "https:///path",
        "https://user:password@example.com/",
        "https://example.com/#part",
        "https://example.com/a b",
        "https://example.com/\r\nx: y",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://[::1/",
        "https://m\u00fcnchen.example/",
        "https://example.com/" + "x" * 2048,
    ],
)
def test_urls_that_no_webhook_has(url: str) -> None:
    found = FaultList()
    check_alerts(SiteAlertsEntry(webhook=url), "alerts", found)
    assert len(found.faults) == 1
    assert found.faults[0].startswith("alerts.webhook: must")
