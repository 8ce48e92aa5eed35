"""What the next probe of a channel may be, and what came of one. Asked by health's prober.

Some probes cost money: those that let a model work. They have an allowance for a day, and this is how it is spent: half
of it evenly over the day, while nothing is wrong; the other half where a channel is in doubt and a probe decides. In
between, and when nothing is left, a probe is only a connection. Pure: `now` is monotonic seconds and an argument.
"""

import math
from enum import StrEnum

from trunkline.bus.snapshots import ChannelSnapshot, Probe, ProbeKind
from trunkline.core.errors import ErrorType, Fault
from trunkline.protocol.upstream_error import MODEL_DENIED

PAID_KINDS = frozenset({ProbeKind.COMPLETION, ProbeKind.EMBEDDING})

DAY_S = 24 * 3600.0

PARTS_A_DAY = 96
"""Parts of a day in which paid probes are counted: a quarter of an hour is how much too late one is free again."""

CALM_SHARE = 0.5
"""Part of a day's paid probes that may be spent while nothing is wrong; the rest is for doubts and denied models."""


class ProbeResult(StrEnum):
    """What came of one probe."""

    PASSED = "passed"
    CREDENTIAL = "credential"
    """The upstream answers and refuses the credential."""
    LIMITED = "limited"
    """The upstream answers and limits the credential."""
    DENIED = "denied"
    """The upstream answers and does not offer the model."""
    FAILED = "failed"
    """The upstream answers with a server error, or with what is no answer."""
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    FORBIDDEN = "forbidden"
    """The address of the upstream is none that this process may connect to (`policy.upstream_addresses`)."""
    UNUSABLE = "unusable"
    """The probe cannot be made here: its credential cannot be decrypted, say. It says nothing about the upstream."""


REACHABLE = frozenset({ProbeResult.PASSED, ProbeResult.CREDENTIAL, ProbeResult.LIMITED, ProbeResult.DENIED})
"""What says nothing against a channel: dispatchers deal with a credential, and `model_access` with a model."""

SAYS_NOTHING = frozenset({ProbeResult.UNUSABLE, ProbeResult.FORBIDDEN})
"""What is told of no channel, since nothing was asked: dispatchers may have other settings, and judge by themselves."""

_NOT_FOUND = frozenset({404, 410})
"""What is not found by a path that a dialect's requests always have is the model, whatever the words."""


class PaidProbes:
    """Counts the paid probes of one channel in the last 24 hours, rounded up to parts of a day."""

    __slots__ = ("_counts", "_last_at", "_newest", "_sum")

    def __init__(self) -> None:
        # One more than a day has: the oldest part lies in the last 24 hours only in part, and counts as a whole.
        self._counts = [0] * (PARTS_A_DAY + 1)
        self._newest = -1
        self._sum = 0
        self._last_at = -math.inf

    def left(self, per_day: int, now: float) -> bool:
        """Return whether another one is within the allowance."""
        self._turn(now)
        return self._sum < per_day

    def calm(self, per_day: int, now: float) -> bool:
        """Return whether another one is within the allowance and due though nothing is wrong."""
        return self.left(per_day, now) and now - self._last_at >= DAY_S / (per_day * CALM_SHARE)

    def take(self, now: float) -> None:
        """Count one that is made now."""
        self._turn(now)
        self._counts[self._newest % len(self._counts)] += 1
        self._sum += 1
        self._last_at = now

    def _turn(self, now: float) -> None:
        part = int(now * PARTS_A_DAY / DAY_S)
        for number in range(max(self._newest + 1, part - PARTS_A_DAY), part + 1):
            slot = number % len(self._counts)
            self._sum -= self._counts[slot]
            self._counts[slot] = 0
        self._newest = max(self._newest, part)


def next_kind(probe: Probe, paid: PaidProbes, *, in_doubt: bool, pays: bool, now: float) -> ProbeKind:
    """Return what a channel's next probe is.

    Args:
        probe: as configured.
        paid: the channel's.
        in_doubt: the channel is out or may soon be, so that the probe decides something.
        pays: this process may make paid probes: of several, one does.
        now: monotonic seconds.
    """
    if probe.kind not in PAID_KINDS:
        return probe.kind
    if not pays:
        return ProbeKind.TCP
    due = paid.left(probe.paid_per_day, now) if in_doubt else paid.calm(probe.paid_per_day, now)
    return probe.kind if due else ProbeKind.TCP


def probed_model(channel: ChannelSnapshot) -> str | None:
    """Return the public name of the model that a channel's probe asks: as configured, else the first by name.

    None if the channel has no model.
    """
    return channel.probe.model if channel.probe.model in channel.models else min(channel.models, default=None)


def judged(status: int) -> ProbeResult:
    """Return what the status of a list of models says of a channel.

    501 means that it lacks the list, not that it fails.
    """
    if status in {401, 403}:
        return ProbeResult.CREDENTIAL
    return ProbeResult.PASSED if status < 500 or status == 501 else ProbeResult.FAILED


def judged_fault(fault: Fault, status: int) -> ProbeResult:
    """Return what a model's answer that came to a fault says of its channel.

    A request that the provider calls bad (some models give no single token) shows all the same that both are there.
    """
    if fault.code == MODEL_DENIED or status in _NOT_FOUND:
        return ProbeResult.DENIED
    match fault.type:
        case ErrorType.UPSTREAM_CREDENTIAL:
            return ProbeResult.CREDENTIAL
        case ErrorType.UPSTREAM_RATE_LIMITED:
            return ProbeResult.LIMITED
        case ErrorType.UPSTREAM_BAD_REQUEST:
            return ProbeResult.PASSED
        case _:
            return ProbeResult.FAILED
