"""Which credentials of a channel may be used now. One `CredentialStates` per dispatcher, asked by each plan.

A credential that the provider refuses (401, 402, its quota used up) is set aside; one that it limits (429) cools
for as long as the provider asks. Neither touches the channel's other credentials. The rest take turns, except in
conversations: each keeps to the one that it prefers, as a provider's prompt cache does not reach from one account into
another. Pure: `now` is monotonic seconds and an argument. A channel whose upstream wants no credential has one nameless
credential here, so that it, too, can cool.
"""

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import NamedTuple

import msgspec

from trunkline.bus.snapshots import ChannelSnapshot, SealedCredential
from trunkline.core.errors import ErrorType
from trunkline.core.hashing import mix64
from trunkline.policy.preference import Preference

CREDENTIAL_FAULTS = frozenset({ErrorType.UPSTREAM_CREDENTIAL, ErrorType.UPSTREAM_RATE_LIMITED})
"""Errors after which the same channel is worth another try with another credential."""

NAMELESS = 0
"""Stands for the credential of a channel that has none; real ids begin at 1."""

COOL_MS_DEFAULT = 5_000
"""Cooling after a 429 that names no time: most limits count by the minute, and a twelfth of it may have room."""

COOL_MS_MAX = 24 * 3600 * 1000
"""Longest cooling: daily quotas are the longest that providers count; more is taken for a broken header."""

ASIDE_S_MIN = 60.0
"""First time set aside. A retry costs one attempt that goes elsewhere at once, so a top-up is noticed in a minute."""

ASIDE_S_MAX = 3600.0
"""Longest time set aside; it doubles with each refusal until here."""

TRIAL_S = 30.0
"""When the time is over one attempt tries the credential; the others wait this long for what comes of it."""


class CredentialState(StrEnum):
    """What keeps a credential from being used."""

    COOLING = "cooling"
    SET_ASIDE = "set_aside"


class CredentialTrouble(msgspec.Struct, frozen=True):
    """One credential that is not in use now, for metrics and logs.

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


class Choice(NamedTuple):
    """A credential to use; None where the upstream wants none."""

    credential: SealedCredential | None


class Outlook(NamedTuple):
    """What can be said of all credentials of a channel together.

    Attributes:
        usable: at least one can be used now.
        cooling_until: monotonic seconds at which the first cooling one is free, None if none cools.
    """

    usable: bool
    cooling_until: float | None


class _Trouble:
    """One credential's record. ``nonce`` tells a replaced secret from the one that was refused."""

    __slots__ = ("aside_until", "cooling_until", "nonce", "on_trial", "reason", "refusals")

    def __init__(self, nonce: bytes) -> None:
        self.nonce = nonce
        self.cooling_until = 0.0
        self.aside_until = 0.0
        self.refusals = 0
        self.on_trial = False
        self.reason = ""


class CredentialStates:
    """Remembers the credentials in trouble and whose turn it is on each channel."""

    __slots__ = ("_preferences", "_troubles", "_turns")

    def __init__(self) -> None:
        self._troubles: dict[int, dict[int, _Trouble]] = {}
        self._turns: dict[int, int] = {}
        self._preferences: dict[int, tuple[tuple[SealedCredential, ...], Preference]] = {}

    def choose(self, channel: ChannelSnapshot, tried: Collection[int], now: float, affinity: int = 0) -> Choice | None:
        """Return the credential whose turn it is, or None if none can be used now.

        Args:
            channel: whose credentials.
            tried: ids that the same job used already (`NAMELESS` for none).
            now: monotonic seconds.
            affinity: of the job's conversation (`policy.affinity`): the credential that it prefers, and nobody's turn.
                0 for none.
        """
        credentials = channel.credentials
        troubles = self._troubles.get(channel.id)
        if not credentials:
            free = troubles is None or self._free(channel.id, NAMELESS, b"", now)
            return Choice(None) if free and NAMELESS not in tried else None
        count = len(credentials)
        turn = self._turns.get(channel.id, 0) if count > 1 else 0
        order = self._preferred(channel, affinity) if affinity and count > 1 else range(turn, turn + count)
        for place in order:
            credential = credentials[place % count]
            if credential.id in tried:
                continue
            if troubles is None or self._free(channel.id, credential.id, credential.nonce, now):
                if count > 1 and not affinity:
                    self._turns[channel.id] = (place + 1) % count
                return Choice(credential)
        return None

    def _preferred(self, channel: ChannelSnapshot, affinity: int) -> Iterator[int]:
        """Yield the places of a channel's credentials as a conversation prefers them; some come again."""
        known = self._preferences.get(channel.id)
        if known is None or known[0] is not channel.credentials:
            preference = Preference((credential.id, 1.0) for credential in channel.credentials)
            known = self._preferences[channel.id] = (channel.credentials, preference)
        place = 0
        # Not the next in line: if one is limited, its conversations must not all fall on one other.
        for place in known[1].picks(mix64(affinity ^ mix64(channel.id))):
            yield place
        yield from range(place + 1, place + len(channel.credentials))

    def _free(self, channel: int, identity: int, nonce: bytes, now: float) -> bool:
        troubles = self._troubles.get(channel, {})
        trouble = troubles.get(identity)
        if trouble is None:
            return True
        if trouble.nonce == nonce:
            if trouble.cooling_until > now or trouble.aside_until > now:
                return False
            if trouble.refusals:
                trouble.on_trial = True
                trouble.aside_until = now + TRIAL_S
                return True
        self._drop(channel, identity)
        return True

    def _drop(self, channel: int, identity: int) -> None:
        troubles = self._troubles[channel]
        del troubles[identity]
        if not troubles:
            del self._troubles[channel]

    def set_aside(
        self,
        channel: int,
        credential: SealedCredential | None,
        reason: str,
        now: float,
        recheck_after_s: float = ASIDE_S_MIN,
    ) -> None:
        """Take a refused credential out until it may be tried again; longer with each refusal in a row.

        Args:
            channel: its channel.
            credential: the refused one.
            reason: static words for metrics, never the provider's text.
            now: monotonic seconds.
            recheck_after_s: for the first refusal.
        """
        trouble = self._trouble(channel, credential)
        if trouble.aside_until > now and not trouble.on_trial:
            return  # the other attempts that were under way when it was first refused
        wait_s = min(recheck_after_s * 2**trouble.refusals, ASIDE_S_MAX)
        trouble.aside_until = now + wait_s
        trouble.reason = reason
        trouble.on_trial = False
        if wait_s < ASIDE_S_MAX or not trouble.refusals:
            trouble.refusals += 1

    def cool(self, channel: int, credential: SealedCredential | None, now: float, for_ms: int | None = None) -> None:
        """Rest a limited credential for as long as the provider asked; a shorter wish does not shorten a longer one."""
        trouble = self._trouble(channel, credential)
        wait_ms = COOL_MS_DEFAULT if for_ms is None else min(max(for_ms, 0), COOL_MS_MAX)
        trouble.cooling_until = max(trouble.cooling_until, now + wait_ms / 1000)

    def confirm(self, channel: int, credential: SealedCredential | None) -> None:
        """Note that the provider took a credential. Call it on success.

        It ends a trial. An attempt that began before the credential was refused or limited proves nothing, so
        outside a trial nothing changes.
        """
        troubles = self._troubles.get(channel)
        if troubles is None:
            return
        identity = NAMELESS if credential is None else credential.id
        trouble = troubles.get(identity)
        if trouble is not None and trouble.on_trial:
            self._drop(channel, identity)

    def forget(self, channel: int) -> None:
        """Drop all that is known of a deleted channel."""
        self._troubles.pop(channel, None)
        self._turns.pop(channel, None)
        self._preferences.pop(channel, None)

    def outlook(self, channel: ChannelSnapshot, now: float) -> Outlook:
        """Return whether and when the channel has a usable credential."""
        troubles = self._troubles.get(channel.id)
        if troubles is None:
            return Outlook(usable=True, cooling_until=None)
        nonces = {credential.id: credential.nonce for credential in channel.credentials} or {NAMELESS: b""}
        first: float | None = None
        for credential, nonce in nonces.items():
            trouble = troubles.get(credential)
            if trouble is None or trouble.nonce != nonce or max(trouble.cooling_until, trouble.aside_until) <= now:
                return Outlook(usable=True, cooling_until=None)
            if trouble.aside_until <= now and (first is None or trouble.cooling_until < first):
                first = trouble.cooling_until
        return Outlook(usable=False, cooling_until=first)

    def troubles(self, now: float) -> list[CredentialTrouble]:
        """Return every credential that cannot be used now, for metrics."""
        found: list[CredentialTrouble] = []
        for channel, troubles in self._troubles.items():
            for credential, trouble in troubles.items():
                if trouble.aside_until > now:
                    state, until, reason = CredentialState.SET_ASIDE, trouble.aside_until, trouble.reason
                elif trouble.cooling_until > now:
                    state, until, reason = CredentialState.COOLING, trouble.cooling_until, ""
                else:
                    continue
                found.append(CredentialTrouble(channel, credential, state, reason, until))
        return found

    def _trouble(self, channel: int, credential: SealedCredential | None) -> _Trouble:
        identity, nonce = (NAMELESS, b"") if credential is None else (credential.id, credential.nonce)
        troubles = self._troubles.setdefault(channel, {})
        trouble = troubles.get(identity)
        if trouble is None or trouble.nonce != nonce:
            trouble = troubles[identity] = _Trouble(nonce)
        return trouble
