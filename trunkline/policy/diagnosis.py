"""What the beats of a fleet tell of its condition, in words that say what to do. Pure; for console and doctor."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trunkline.bus.messages import Beat
from trunkline.policy.admin_api import Check

ROLES = ("edge", "dispatcher", "metering", "health")
"""What a working gateway has at least one of, beside the console."""

CLOCKS_APART_MS = 2000
"""From here on what one process dates is out of order for another: expiry of keys, minutes, periods. A beat's own way
takes milliseconds."""

NAMED_MAX = 5
"""Of processes and the like that are named in one sentence."""

_WITHOUT = {
    "edge": "no client can connect",
    "dispatcher": "no request is served",
    "metering": "usage waits in the stream and balances do not move",
    "health": "channels keep the weights that they had",
}


class Heard(NamedTuple):
    """A process's last beat.

    Attributes:
        beat: see there.
        ahead_ms: how much its clock is ahead of the listener's; less than zero: behind.
    """

    beat: Beat
    ahead_ms: int


def fleet_checks(heard: Sequence[Heard]) -> list[Check]:
    """Return one check per role, and what differs between processes.

    Args:
        heard: processes that were heard within `limits.BEATS_MISSED_MAX` beats.
    """
    checks = [_role_check(role, [one.beat for one in heard if one.beat.role == role]) for role in ROLES]
    releases = sorted({one.beat.release for one in heard})
    if len(releases) > 1:
        counts = (f"{_release(name)} ({sum(one.beat.release == name for one in heard)})" for name in releases)
        checks.append(
            warning("versions", f"Several run side by side: {listed(counts)}. Finish the roll-out, or roll back.")
        )
    apart = [one for one in heard if abs(one.ahead_ms) > CLOCKS_APART_MS]
    if apart:
        names = (f"{one.beat.process} ({one.ahead_ms / 1000:+.1f} s)" for one in apart)
        checks.append(Check("clocks", False, f"These differ from the clock here: {listed(names)}. Look at their NTP."))
    return checks


def _role_check(role: str, beats: Sequence[Beat]) -> Check:
    draining = sum(beat.draining for beat in beats)
    working = len(beats) - draining
    if not working:
        also = f" ({draining} draining)" if draining else ""
        return Check(role, False, f"None is alive{also}: {_WITHOUT[role]}. Start one, or look at its log.")
    return Check(role, True, f"{working} alive" + (f", {draining} draining" if draining else ""))


def warning(name: str, message: str, since: dt.datetime | None = None) -> Check:
    """Return a check of something that works and should be looked at."""
    return Check(name, True, message, since=since, warning=True)


def listed(names: Iterable[str]) -> str:
    """Return names in a sentence, the first few of many."""
    found = list(names)
    more = len(found) - NAMED_MAX
    return ", ".join(found[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _release(name: str) -> str:
    return name or "one that does not say"
