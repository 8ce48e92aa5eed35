"""What another attempt is allowed after one that failed: where, whether at all, and how soon. Pure.

Where is told by the error (`protocol.upstream_error.RetryClass`), up to the channels of one model; `taken_over_on`
tells which models may take over after that. Whether at all is the channel's `RetryBudget`. How soon is `backoff_s`.
"""

from collections.abc import Callable

from trunkline.bus.messages import FallbackOn
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.breaker import CHANNEL_FAULTS

CONTEXT_CODE = "context_length_exceeded"
FILTER_CODE = "content_filter"

REPEATABLE = frozenset(
    {
        ErrorType.UPSTREAM_OVERLOADED,
        ErrorType.UPSTREAM_ERROR,
        ErrorType.UPSTREAM_UNREACHABLE,
        ErrorType.UPSTREAM_CUT,
        ErrorType.UPSTREAM_INVALID,
    }
)
"""Errors after which the same channel and credential may be asked again, where nothing else is left. Not after a
timeout: the client has waited long enough."""

FRUITLESS = CHANNEL_FAULTS | {ErrorType.UPSTREAM_RATE_LIMITED}
"""Errors that cost a client time and are likely to come again: what strategies that compare count against a channel."""

BACKOFF_S = 0.25
"""First wait before a channel is asked again; it doubles. Restarts and resets of connections are over in it."""

ROUNDS_MAX = 2
"""How often all channels may be asked again: a client's SDK repeats as often by itself."""

BUDGET_MAX = 20.0
"""Failures that a channel may have in a row, twice over, before no more retries come to it."""

BUDGET_RETURN = 0.5
"""What a success gives back: a channel that fails a third of its attempts still gets retries."""

BUDGET_RETURN_PER_S = 0.2
"""What time gives back: one that is asked only when others have failed would else never be asked again. While it goes
on failing, that is a retry in 5 s."""

_ENDS = frozenset(
    {
        ErrorType.CLIENT_GONE,
        ErrorType.GATEWAY_INTERNAL,
        ErrorType.GATEWAY_BUSY,
        ErrorType.GATEWAY_SHUTTING_DOWN,
        ErrorType.GATEWAY_FRAME_LOST,
    }
)
"""Ends of a job that no other model could have averted."""


def taken_over_on(fault: Fault) -> FallbackOn | None:
    """Return in which case another model may take over after this fault of a job's last attempt; None: in none."""
    if fault.code == CONTEXT_CODE:
        return FallbackOn.CONTEXT
    if fault.code == FILTER_CODE:
        return FallbackOn.FILTER
    if fault.type in _ENDS or fault.type.value.startswith(("client_", "policy_")):
        return None
    return None if fault.type is ErrorType.UPSTREAM_BAD_REQUEST else FallbackOn.FAILURE


def backoff_s(rounds: int, draw: Callable[[], float]) -> float:
    """Return how long to wait before all channels are asked again.

    Half of it is drawn, so that jobs that failed together do not come back together.

    Args:
        rounds: how often that was done before.
        draw: uniform, 0 ≤ x < 1.
    """
    return BACKOFF_S * (1 << rounds) * (0.5 + draw() / 2)


class RetryBudget:
    """How many retries a channel bears, after gRPC's retry throttling (proposal A6).

    Its own failures take from it and its successes give back: a healthy channel takes over everything that another one
    has dropped, and when all fail each gets the first attempts of jobs and hardly any others.
    """

    __slots__ = ("_at", "_left")

    def __init__(self) -> None:
        self._left = BUDGET_MAX
        self._at = 0.0

    def receive(self, error: ErrorType | None, now: float) -> None:
        """Take what came of an attempt; None is success. ``now`` is monotonic seconds."""
        left = self._left_at(now)
        if error is None:
            left = min(left + BUDGET_RETURN, BUDGET_MAX)
        elif error in CHANNEL_FAULTS:
            left = max(left - 1.0, 0.0)
        self._left, self._at = left, now

    def allows(self, now: float) -> bool:
        """Return whether a job that failed elsewhere may come."""
        return self._left_at(now) > BUDGET_MAX / 2

    def _left_at(self, now: float) -> float:
        return min(self._left + max(now - self._at, 0.0) * BUDGET_RETURN_PER_S, BUDGET_MAX)
