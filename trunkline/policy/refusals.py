"""What a client is told when a meter has too little for its job: which limit, what it is, and when to come again."""

from trunkline.bus.allowance import Meter, MeterKind, Period
from trunkline.core.errors import ErrorType, Fault
from trunkline.core.money import usd_text

_UNITS = {
    MeterKind.REQUESTS: "requests",
    MeterKind.TOKENS: "tokens",
    MeterKind.IMAGES: "images",
    MeterKind.CONCURRENCY: "requests at a time",
}
_PERIODS = {Period.MINUTE: " per minute", Period.DAY: " per day", Period.MONTH: " per month", Period.NONE: ""}

BUSY_RETRY_MS = 1000
"""When to come again for what requests under way will give back: most answers take some seconds."""


def refusal(meter: Meter, wanted: int, left: int, reset_ms: int, *, held: bool) -> Fault:
    """Return the fault of a job that a meter has too little for.

    Args:
        meter: see there.
        wanted: what the job needs of it.
        left: what is left for it; not below 0.
        reset_ms: until there is more, 0 if unknown.
        held: requests under way hold the rest and may give it back.
    """
    if meter.kind is MeterKind.MONEY:
        return _no_money(meter, wanted, left, reset_ms, held=held)
    scope = _scope(meter)
    unit = f"{_UNITS[meter.kind]}{_PERIODS[meter.period]}"
    if not meter.limit:
        return Fault(ErrorType.POLICY_RATE_LIMITED, f"The limit {scope} is 0 {unit}.", code="rate_limit")
    if wanted > meter.limit:
        return Fault(
            ErrorType.POLICY_RATE_LIMITED,
            f"This request counts as {wanted} {unit}, and the limit {scope} is {meter.limit}. "
            "Ask for less, such as a smaller bound on the answer.",
            code="request_too_large",
        )
    if meter.kind is MeterKind.CONCURRENCY:
        return Fault(
            ErrorType.POLICY_RATE_LIMITED,
            f"Limit of {meter.limit} {unit} {scope} reached. Wait for one of them to end.",
            retry_after_ms=BUSY_RETRY_MS,
            code="concurrency_limit",
        )
    return Fault(
        ErrorType.POLICY_RATE_LIMITED,
        f"Limit of {meter.limit} {unit} {scope} reached: {max(meter.limit - left, 0)} used, "
        f"{wanted} more asked for. Try again {_when(reset_ms)}.",
        retry_after_ms=max(reset_ms, 1),
        code="rate_limit",
    )


def _no_money(meter: Meter, wanted: int, left: int, reset_ms: int, *, held: bool) -> Fault:
    if held and (meter.period is Period.NONE or wanted <= meter.limit):
        return Fault(
            ErrorType.POLICY_RATE_LIMITED,
            f"What is left of the {_money_name(meter)} is held for requests under way. Try again when they have ended.",
            retry_after_ms=BUSY_RETRY_MS,
            code="credit_held",
        )
    costs = f"This request may cost up to {usd_text(wanted)} USD"
    if meter.period is Period.NONE:
        message = (
            f"{costs}, and this account has {usd_text(left)} USD left. Ask for a shorter answer, or add credit."
            if left > 0
            else "This account has no credit left. Add credit, or ask the account's administrator."
        )
        return Fault(ErrorType.POLICY_NO_CREDIT, message)
    name = "daily" if meter.period is Period.DAY else "monthly"
    spent = f"{costs}, and {usd_text(left)} USD of it is left" if left > 0 else "it is used up"
    return Fault(
        ErrorType.POLICY_BUDGET_SPENT,
        f"The {name} budget of {usd_text(meter.limit)} USD {_scope(meter)}: {spent}. It begins anew {_when(reset_ms)}.",
    )


def _money_name(meter: Meter) -> str:
    return "account's credit" if meter.period is Period.NONE else f"budget {_scope(meter)}"


def _scope(meter: Meter) -> str:
    if meter.key:
        scope = "of this API key"
    elif meter.user:
        scope = "of this key's user"
    elif meter.group:
        scope = f"of the group {meter.group}"
    else:
        scope = "of this account"
    return f"{scope} for {', '.join(meter.models)}" if meter.models else scope


def _when(reset_ms: int) -> str:
    seconds = -(-reset_ms // 1000)
    if seconds < 120:
        return f"in {max(seconds, 1)} s"
    minutes = -(-seconds // 60)
    return f"in {minutes} min" if minutes < 120 else f"in {-(-minutes // 60)} h"
