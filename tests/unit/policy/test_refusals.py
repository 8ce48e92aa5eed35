"""What a client is told: which limit, what it is, how far it is used, and when to come again."""

import pytest

from trunkline.bus.allowance import WALLET, Meter, MeterKind, Period
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.refusals import BUSY_RETRY_MS, refusal

MONEY = Meter(WALLET, MeterKind.MONEY, Period.NONE, 0)
DAILY = Meter("account:daily", MeterKind.MONEY, Period.DAY, 5_000_000_000)
USD = 1_000_000_000


def limited(message: str, code: str, retry_ms: int | None) -> Fault:
    return Fault(ErrorType.POLICY_RATE_LIMITED, message, retry_after_ms=retry_ms, code=code)


@pytest.mark.parametrize(
    ("meter", "wanted", "left", "reset_ms", "message"),
    [
        (
            Meter("tier:rpm", MeterKind.REQUESTS, Period.MINUTE, 50),
            1,
            0,
            12_001,
            "Limit of 50 requests per minute of this account reached: 50 used, 1 more asked for. Try again in 13 s.",
        ),
        (
            Meter("key:1:tpm", MeterKind.TOKENS, Period.MINUTE, 1_000, key=1),
            30,
            12,
            119_000,
            "Limit of 1000 tokens per minute of this API key reached: 988 used, 30 more asked for. Try again in 119 s.",
        ),
        (
            Meter("user:4:rpd", MeterKind.REQUESTS, Period.DAY, 9, user=4),
            1,
            0,
            120_000,
            "Limit of 9 requests per day of this key's user reached: 9 used, 1 more asked for. Try again in 2 min.",
        ),
        (
            Meter("group:vip:images_per_minute", MeterKind.IMAGES, Period.MINUTE, 9, group="vip"),
            4,
            3,
            0,
            "Limit of 9 images per minute of the group vip reached: 6 used, 4 more asked for. Try again in 1 s.",
        ),
        (
            Meter("tier:tpd:o*", MeterKind.TOKENS, Period.DAY, 9, models=("o*",)),
            4,
            0,
            7_200_001,
            "Limit of 9 tokens per day of this account for o* reached: 9 used, 4 more asked for. Try again in 3 h.",
        ),
    ],
    ids=["account", "key", "user", "group", "models"],
)
def test_a_limit_says_whose_it_is_and_when_there_is_more(
    meter: Meter, wanted: int, left: int, reset_ms: int, message: str
) -> None:
    expected = limited(message, "rate_limit", max(reset_ms, 1))
    assert refusal(meter, wanted, left, reset_ms, held=False) == expected


def test_a_request_that_no_minute_has_room_for_is_told_so() -> None:
    meter = Meter("tier:tpm", MeterKind.TOKENS, Period.MINUTE, 1_000)
    assert refusal(meter, 1_001, 1_000, 0, held=False) == limited(
        "This request counts as 1001 tokens per minute, and the limit of this account is 1000. "
        "Ask for less, such as a smaller bound on the answer.",
        "request_too_large",
        None,
    )
    assert refusal(meter, 1_000, 0, 1, held=False).code == "rate_limit"


def test_a_limit_of_nothing_is_told_as_it_is() -> None:
    meter = Meter("key:1:rpm", MeterKind.REQUESTS, Period.MINUTE, 0, key=1)
    expected = limited("The limit of this API key is 0 requests per minute.", "rate_limit", None)
    assert refusal(meter, 1, 0, 0, held=False) == expected


def test_too_many_at_a_time() -> None:
    meter = Meter("tier:concurrency", MeterKind.CONCURRENCY, Period.NONE, 10)
    for held in (True, False):
        assert refusal(meter, 1, 0, 0, held=held) == limited(
            "Limit of 10 requests at a time of this account reached. Wait for one of them to end.",
            "concurrency_limit",
            BUSY_RETRY_MS,
        )


def test_an_account_without_credit_is_not_to_be_tried_again() -> None:
    assert refusal(MONEY, USD, 0, 0, held=False) == Fault(
        ErrorType.POLICY_NO_CREDIT,
        "This account has no credit left. Add credit, or ask the account's administrator.",
    )
    assert refusal(MONEY, USD, USD // 4, 0, held=False) == Fault(
        ErrorType.POLICY_NO_CREDIT,
        "This request may cost up to 1.00 USD, and this account has 0.25 USD left. Ask for a shorter answer, or add "
        "credit.",
    )


def test_money_that_requests_under_way_hold_may_come_back() -> None:
    assert refusal(MONEY, USD, 0, 0, held=True) == limited(
        "What is left of the account's credit is held for requests under way. Try again when they have ended.",
        "credit_held",
        BUSY_RETRY_MS,
    )
    assert refusal(DAILY, USD, 0, 0, held=True) == limited(
        "What is left of the budget of this account is held for requests under way. Try again when they have ended.",
        "credit_held",
        BUSY_RETRY_MS,
    )


def test_a_budget_says_what_it_is_and_when_it_begins_anew() -> None:
    assert refusal(DAILY, USD, 0, 5 * 3_600_000, held=False) == Fault(
        ErrorType.POLICY_BUDGET_SPENT,
        "The daily budget of 5.00 USD of this account: it is used up. It begins anew in 5 h.",
    )
    monthly = Meter("key:1:monthly:gpt-*", MeterKind.MONEY, Period.MONTH, 5 * USD, key=1, models=("gpt-*",))
    assert refusal(monthly, 2 * USD, USD, 5 * 60_000, held=False) == Fault(
        ErrorType.POLICY_BUDGET_SPENT,
        "The monthly budget of 5.00 USD of this API key for gpt-*: This request may cost up to 2.00 USD, and 1.00 USD "
        "of it is left. It begins anew in 5 min.",
    )


def test_a_request_beyond_a_whole_budget_need_not_wait_for_others_to_end() -> None:
    assert refusal(DAILY, 6 * USD, 0, 1, held=True).type is ErrorType.POLICY_BUDGET_SPENT
