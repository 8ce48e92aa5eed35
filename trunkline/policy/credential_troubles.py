"""What keeps one credential from being used, or makes others better. Kept by `policy.credentials`. Pure."""

import math
from enum import StrEnum

import msgspec

from trunkline.policy.foreseen_limits import Gauge

COOL_MS_MIN = 250
"""Cooling after a first 429 that names no time. Many providers say so now and then with room left a moment later, and
what they refuse costs a job some tens of milliseconds."""

COOL_MS_GROWN = 5_000
"""Longest cooling where none is named, after doubling with each further 429: most limits count by the minute, and a
twelfth of it may have room."""

COOL_MS_MAX = 24 * 3600 * 1000
"""Longest cooling: daily quotas are the longest that providers count; more is taken for a broken header."""

JITTER = 0.25
"""Part of a cooling by which it may be longer, so that dispatchers do not come back together."""

ROW_S = 60.0
"""A 429 so long after the last one is the first of another row: most limits count by the minute."""

ASIDE_S_MIN = 60.0
"""First time set aside. A retry costs one attempt that goes elsewhere at once, so a top-up is noticed in a minute."""

ASIDE_S_MAX = 3600.0
"""Longest time set aside; it doubles with each refusal until here."""

TRIAL_S = 30.0
"""When the time is over one attempt tries the credential; the others wait this long for what comes of it."""

ENDS_SOON_S = 0.25
"""When to look again at a credential that takes no more attempts until one ends, which nobody can foretell."""


class CredentialState(StrEnum):
    """What its provider makes of a credential that it does not take."""

    COOLING = "cooling"
    SET_ASIDE = "set_aside"


class CredentialTrouble(msgspec.Struct, frozen=True):
    """One credential that its provider does not take now, for metrics and logs.

    Attributes:
        channel, credential: which.
        state: see there.
        reason: as given by the caller, empty while cooling.
        until: monotonic seconds.
    """

    channel: int
    credential: int
    state: CredentialState
    reason: str
    until: float


class Trouble:
    """One credential's record. Times are monotonic seconds.

    Attributes:
        nonce: tells a replaced secret from the one that was refused.
        cooling_until: its provider limits it.
        full_until: it is at a limit that the configuration sets; infinity: until an attempt ends.
        aside_until: its provider refused it.
        reason: of that.
        on_trial: an attempt is trying it.
        gauges: those that say that a limit comes near, by model.
    """

    __slots__ = (
        "_limited_at",
        "_refusals",
        "_row",
        "aside_until",
        "cooling_until",
        "full_until",
        "gauges",
        "nonce",
        "on_trial",
        "reason",
    )

    def __init__(self, nonce: bytes) -> None:
        self.nonce = nonce
        self.cooling_until = -math.inf
        self.full_until = -math.inf
        self.aside_until = -math.inf
        self.reason = ""
        self.on_trial = False
        self.gauges: dict[str, Gauge] = {}
        self._refusals = 0
        self._row = 0
        self._limited_at = -math.inf

    def free_at(self, model: str, now: float) -> float:
        """Return when it can be used for a model: ``now``, later, or infinity for one that is set aside."""
        if self.aside_until > now:
            return math.inf
        at = max(now, self.cooling_until, now + ENDS_SOON_S if self.full_until == math.inf else self.full_until)
        gauge = self.gauges.get(model)
        return at if gauge is None else max(at, gauge.rest_until)

    def usable(self, model: str, at: float) -> bool:
        """Return whether it can be used for a model at a time."""
        if self.aside_until > at or self.cooling_until > at or self.full_until > at:
            return False
        gauge = self.gauges.get(model) if self.gauges else None
        return gauge is None or gauge.rest_until <= at

    def tight(self, model: str, at: float) -> bool:
        """Return whether another credential is the better one for a model, as this one's limit comes near."""
        gauge = self.gauges.get(model) if self.gauges else None
        return gauge is not None and gauge.tight_until > at

    def over(self, now: float) -> bool:
        """Return whether nothing is left to remember."""
        if self._refusals or now < self.cooling_until or now < self.full_until:
            return False
        if self._row and now < self._limited_at + ROW_S:
            return False
        return all(gauge.tight_until <= now and gauge.rest_until <= now for gauge in self.gauges.values())

    def used(self, at: float) -> None:
        """It is used for an attempt: if it was set aside, that is the one that tries it."""
        if self._refusals:
            self.on_trial = True
            self.aside_until = at + TRIAL_S

    def refuse(self, reason: str, now: float, recheck_after_s: float) -> None:
        """Set it aside, for longer with each refusal in a row."""
        if self.aside_until > now and not self.on_trial:
            return  # the other attempts that were under way when it was first refused
        wait_s = min(recheck_after_s * 2**self._refusals, ASIDE_S_MAX)
        self.aside_until = now + wait_s
        self.reason = reason
        self.on_trial = False
        if wait_s < ASIDE_S_MAX or not self._refusals:
            self._refusals += 1

    def limit(self, now: float, for_ms: int | None, began: float, draw: float) -> None:
        """Let it cool; see `CredentialStates.cool`."""
        if began >= self._limited_at:
            self._row = 1 if now >= self._limited_at + ROW_S else self._row + 1
            self._limited_at = now
        elif for_ms is None:
            return  # it was under way when the first one was limited, and says the same
        if for_ms is None:
            wait_ms = min(COOL_MS_MIN * 2 ** min(self._row - 1, 8), COOL_MS_GROWN) * (1 + JITTER * draw)
        else:
            wait_ms = min(max(for_ms, 0), COOL_MS_MAX)
        self.cooling_until = max(self.cooling_until, now + wait_ms / 1000)

    def accept(self, began: float) -> None:
        """Its provider took it in an attempt that began at a time."""
        if self.on_trial:
            self._refusals = 0
            self.on_trial = False
            self.aside_until = -math.inf
        if began >= self._limited_at:
            self._row = 0

    def told(self, channel: int, credential: int, now: float) -> CredentialTrouble | None:
        """Return what keeps its provider from taking it now; None if nothing does."""
        if self.aside_until > now:
            return CredentialTrouble(channel, credential, CredentialState.SET_ASIDE, self.reason, self.aside_until)
        if self.cooling_until > now:
            return CredentialTrouble(channel, credential, CredentialState.COOLING, "", self.cooling_until)
        return None
