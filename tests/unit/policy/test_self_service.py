"""The JSON of self-service, made of what metering reports."""

import json
from typing import Any

import msgspec
import pytest

from trunkline.bus import inquiry, messages
from trunkline.bus.allowance import Meter, MeterKind, Period
from trunkline.bus.inquiry import (
    AttemptReport,
    GenerationInquiry,
    GenerationReport,
    InquiryRefusal,
    KeyInquiry,
    KeyReport,
    MeterReading,
    RefusalReason,
    UsageInquiry,
    UsageReport,
    UsageRow,
    UsageSums,
)
from trunkline.bus.snapshots import KeyPolicy
from trunkline.core.usage import Units
from trunkline.policy import self_service

POLICY = KeyPolicy(
    key=7, key_name="ci", account=3, account_name="acme", groups=("default",), expires_ms=1_900_000_000_500
)
RPM = Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, 50)
FAMILY = Meter("key:7:tpd:gpt-*", MeterKind.TOKENS, Period.DAY, 1000, key=7, models=("gpt-*",))
PERMITS = Meter("user:1:concurrency", MeterKind.CONCURRENCY, Period.NONE, 10, user=1)
VIP = Meter("group:vip:rpm", MeterKind.REQUESTS, Period.MINUTE, 5, group="vip")
DAILY = Meter("account:daily", MeterKind.MONEY, Period.DAY, 5_000_000_000)
OF_MODEL = Meter("account:daily:o1", MeterKind.MONEY, Period.DAY, 1, models=("o1",))
READINGS = (
    MeterReading(RPM, 20, 12_345),
    MeterReading(FAMILY, 1500, 1000),
    MeterReading(PERMITS, 4),
    MeterReading(VIP, 5, 1000),
    MeterReading(DAILY, 1_250_000_001, 3_600_000),
    MeterReading(OF_MODEL, 1, 3_600_000),
)
SUMS = UsageSums(3, 400, 100, 50, 1_000_000_001)
REPORT = KeyReport(
    tier="basic",
    time_zone="UTC",
    today="2027-01-15",
    balance_nano=9_000_000_000,
    charged_nano=1_000_000_000,
    readings=READINGS,
    day=SUMS,
    week=SUMS,
)
FAILED = AttemptReport(
    "big", "default", "upstream_timeout", 504, True, False, True, Units(), 0, 1_790_000_000_000, 0, 3000
)
ANSWERED = AttemptReport(
    "small",
    "vip",
    "",
    200,
    True,
    True,
    False,
    Units(input=10, cache_read=5, output=7, reasoning=3),
    12_345,
    1_790_000_003_000,
    120,
    900,
    "big",
)


def test_a_key_is_shown_with_all_that_bounds_it() -> None:
    shown = json.loads(self_service.render_key(POLICY, REPORT))
    limits = shown.pop("limits")
    budgets = shown.pop("budgets")
    usage = shown.pop("usage")
    assert shown == {
        "object": "key",
        "name": "ci",
        "account": "acme",
        "tier": "basic",
        "groups": ["default"],
        "models": ["*"],
        "endpoints": [],
        "expires_at": "2030-03-17T17:46:40.500000Z",
        "time_zone": "UTC",
        "balance_usd": "9.00",
        "balance_nano": 9_000_000_000,
    }
    # The group vip is not one of this key's, so its limit bounds others.
    assert limits == [
        {
            "of": "requests",
            "per": "minute",
            "scope": "account",
            "models": [],
            "limit": 50,
            "used": 20,
            "remaining": 30,
            "resets_in_s": 12.345,
        },
        {
            "of": "tokens",
            "per": "day",
            "scope": "key",
            "models": ["gpt-*"],
            "limit": 1000,
            "used": 1500,
            "remaining": 0,
            "resets_in_s": 1.0,
        },
        {
            "of": "requests at a time",
            "per": None,
            "scope": "user",
            "models": [],
            "limit": 10,
            "used": 4,
            "remaining": 6,
            "resets_in_s": None,
        },
    ]
    assert budgets[0] == {
        "per": "day",
        "scope": "account",
        "models": [],
        "limit_usd": "5.00",
        "limit_nano": 5_000_000_000,
        "spent_usd": "1.250000001",
        "spent_nano": 1_250_000_001,
        "remaining_usd": "3.749999999",
        "remaining_nano": 3_749_999_999,
        "resets_in_s": 3600.0,
    }
    sums = {
        "requests": 3,
        "input_tokens": 400,
        "cached_tokens": 100,
        "output_tokens": 50,
        "charge_usd": "1.000000001",
        "charge_nano": 1_000_000_001,
    }
    assert usage == {"today": sums, "this_week": sums, "this_month": None}


def test_usage_has_the_dimensions_that_were_asked_for_and_no_other() -> None:
    row = UsageRow(SUMS, day="2027-01-15", model="small", key=7, key_name="")
    report = UsageReport("UTC", "2027-01-01", "2027-01-15", (row,))
    shown = json.loads(self_service.render_usage(report, "account", ("day", "key")))
    (data,) = shown.pop("data")
    assert shown == {
        "object": "usage",
        "scope": "account",
        "from": "2027-01-01",
        "to": "2027-01-15",
        "time_zone": "UTC",
        "by": ["day", "key"],
    }
    assert {name: data[name] for name in ("day", "key", "key_id", "charge_nano")} == {
        "day": "2027-01-15",
        "key": None,
        "key_id": 7,
        "charge_nano": 1_000_000_001,
    }
    assert "model" not in data
    assert "group" not in data


def test_a_request_is_shown_without_who_answered_it() -> None:
    shown = json.loads(self_service.render_generation("some-id", GenerationReport((FAILED, ANSWERED))))
    assert shown == {
        "object": "generation",
        "id": "some-id",
        "model": "small",
        "model_asked": "big",
        "group": "vip",
        "stream": True,
        "outcome": "ok",
        "status": 200,
        "cost_usd": "0.000012345",
        "cost_nano": 12_345,
        "tokens": {"input": 10, "cache_read": 5, "output": 7, "reasoning": 3},
        "tokens_counted": False,
        "created_at": "2026-09-21T14:13:20Z",
        "first_token_ms": 120,
        "total_ms": 3900,
        "attempts": [
            {"model": "big", "outcome": "upstream_timeout", "status": 504, "duration_ms": 3000},
            {"model": "small", "outcome": "ok", "status": 200, "duration_ms": 900},
        ],
    }
    failed = json.loads(self_service.render_generation("some-id", GenerationReport((FAILED,))))
    assert (failed["outcome"], failed["cost_usd"], failed["first_token_ms"]) == ("upstream_timeout", "0.00", None)
    alone = json.loads(self_service.render_generation("some-id", GenerationReport((ANSWERED,))))
    assert (alone["model"], alone["model_asked"]) == ("small", "big")  # of the first model nobody could be called


def test_an_answer_gone_on_with_is_shown_as_one() -> None:
    began = msgspec.structs.replace(ANSWERED, outcome="upstream_cut", joined_output=4)
    went_on = msgspec.structs.replace(
        FAILED, outcome="", charged=False, continues=True, started_ms=began.started_ms + 1000, duration_ms=500
    )
    shown = json.loads(self_service.render_generation("some-id", GenerationReport((began, went_on))))
    assert (shown["model"], shown["outcome"], shown["cost_nano"]) == ("small", "ok", 12_345)
    assert shown["tokens"] == {"input": 10, "cache_read": 5, "output": 11, "reasoning": 3}
    failed = msgspec.structs.replace(went_on, outcome="upstream_timeout")
    shown = json.loads(self_service.render_openrouter_generation("some-id", GenerationReport((began, failed))))
    assert (shown["data"]["tokens_completion"], shown["data"]["generation_time"]) == (14, 1500)


def test_the_same_in_openrouters_words() -> None:
    shown = json.loads(self_service.render_openrouter_generation("some-id", GenerationReport((FAILED, ANSWERED))))
    assert shown["data"] == {
        "id": "some-id",
        "total_cost": 0.000012345,
        "usage": 0.000012345,
        "created_at": "2026-09-21T14:13:20Z",
        "model": "small",
        "streamed": True,
        "cancelled": False,
        "latency": 120,
        "generation_time": 900,
        "tokens_prompt": 15,
        "tokens_completion": 10,
        "native_tokens_prompt": 15,
        "native_tokens_completion": 10,
        "native_tokens_reasoning": 3,
        "native_tokens_cached": 5,
    }


def subscription(policy: KeyPolicy, report: KeyReport) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(self_service.render_subscription(policy, report))
    return found


def test_a_balance_checker_finds_what_is_left_by_taking_one_from_the_other() -> None:
    shown = subscription(POLICY, REPORT)
    used = json.loads(self_service.render_billing_usage(REPORT))
    assert used == {"object": "list", "total_usage": 100.0}
    assert shown["object"] == "billing_subscription"
    assert shown["system_hard_limit_usd"] - used["total_usage"] / 100 == 9.0
    # The key's budget of the day leaves less than the balance; that of one model says nothing of the others.
    assert shown["hard_limit_usd"] - used["total_usage"] / 100 == pytest.approx(3.749999999)
    assert shown["soft_limit_usd"] == shown["hard_limit_usd"]
    assert shown["access_until"] == 1_900_000_000


def test_a_key_without_an_end_is_not_shown_as_over() -> None:
    endless = KeyPolicy(key=7, key_name="ci", account=3, account_name="acme")
    assert subscription(endless, REPORT)["access_until"] == 4_102_444_800


@pytest.mark.parametrize(
    "question",
    [KeyInquiry(3, 7, usage=False), UsageInquiry(3, 0, "2027-01-01", "", ("day",)), GenerationInquiry(3, b"x" * 16)],
)
def test_questions_are_the_same_on_the_other_side(question: inquiry.Inquiry) -> None:
    assert inquiry.decode_inquiry(messages.encode(question)) == question


@pytest.mark.parametrize(
    "report",
    [
        REPORT,
        UsageReport("UTC", "2027-01-01", "2027-01-15", (UsageRow(SUMS, day="2027-01-15"),)),
        GenerationReport((FAILED, ANSWERED)),
        InquiryRefusal(RefusalReason.BUSY),
    ],
)
def test_answers_are_the_same_on_the_other_side(report: inquiry.Report) -> None:
    assert inquiry.decode_report(messages.encode(report)) == report
