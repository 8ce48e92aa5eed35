"""Which credentials of a channel may be used now. One `CredentialStates` per dispatcher, asked by each plan.

A credential that the provider refuses (401, 402, its quota used up) is set aside; one that it limits (429) cools for as
long as the provider asks; one whose limit comes near, by what the provider's answers say, is *tight*: used only where
no other is free of it; one that is at a limit of the configuration waits. None of it touches the channel's other
credentials. The rest take turns, except in conversations: each keeps to the one that it prefers, as a provider's prompt
cache does not reach from one account into another.

Pure: `now` is monotonic seconds and an argument. Whatever takes a credential out of use is worked out when it happens
and written down as a time, so that choosing on a channel without troubles looks at nothing. A channel whose upstream
wants no credential has one nameless credential here, so that it, too, can cool.
"""

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from trunkline.bus.snapshots import ChannelSnapshot, SealedCredential
from trunkline.core.errors import ErrorType
from trunkline.policy.credential_limits import CredentialUse
from trunkline.policy.credential_troubles import ASIDE_S_MIN, CredentialTrouble, Trouble
from trunkline.policy.credential_turns import Turns
from trunkline.protocol.rate_limits import ProviderLimits

CREDENTIAL_FAULTS = frozenset({ErrorType.UPSTREAM_CREDENTIAL, ErrorType.UPSTREAM_RATE_LIMITED})
"""Errors after which the same channel is worth another try with another credential."""

NAMELESS = 0
"""Stands for the credential of a channel that has none; real ids begin at 1."""


class Choice(NamedTuple):
    """A credential to use.

    Attributes:
        credential: None where the upstream wants none.
        tight: its limit will be hit soon, and that of all others of the channel.
    """

    credential: SealedCredential | None
    tight: bool = False


class Outlook(NamedTuple):
    """What can be said of all credentials of a channel together.

    Attributes:
        usable: at least one can be used now.
        cooling_until: monotonic seconds at which the first cooling one is free, None if none cools.
    """

    usable: bool
    cooling_until: float | None


class CredentialStates:
    """Remembers the credentials in trouble, what each is used for, and whose turn it is on each channel.

    Attributes:
        dispatchers: how many live, this one included: among so many the limits of the configuration are shared.
    """

    __slots__ = ("_troubles", "_turns", "_uses", "dispatchers")

    def __init__(self) -> None:
        self.dispatchers = 1
        self._troubles: dict[int, dict[int, Trouble]] = {}
        self._turns: dict[int, Turns] = {}
        self._uses: dict[int, dict[int, CredentialUse]] = {}

    # --- choosing ----------------------------------------------------------------------------------------------

    def choose(
        self,
        channel: ChannelSnapshot,
        tried: Collection[int],
        now: float,
        affinity: int = 0,
        *,
        model: str = "",
        wait_s: float = 0.0,
    ) -> Choice | None:
        """Return the credential to use, or None if none can be used.

        Args:
            channel: whose credentials.
            tried: ids that the same job used already (`NAMELESS` for none).
            now: monotonic seconds.
            affinity: of the job's conversation (`policy.affinity`): the credential that it prefers, and nobody's turn.
                0 for none.
            model: the upstream's name, whose limits count.
            wait_s: after how long it will be used.
        """
        credentials = channel.credentials
        troubles = self._troubles.get(channel.id)
        if troubles is None and len(credentials) < 2 and not tried:
            return Choice(credentials[0] if credentials else None)
        if troubles is not None:
            self._clean(channel, troubles, now)
        if not credentials:
            return self._nameless(channel.id, troubles, tried, model, now + wait_s)
        tight = False
        places: Sequence[int] = range(len(credentials))
        if tried:
            places = [place for place in places if credentials[place].id not in tried]
        if troubles is not None:
            places, tight = _usable(credentials, places, troubles, model, now + wait_s)
        if not places:
            return None
        credential = credentials[places[0] if len(credentials) == 1 else self._turn(channel, places, affinity)]
        if troubles is not None and (trouble := troubles.get(credential.id)) is not None:
            trouble.used(now + wait_s)
        return Choice(credential, tight)

    def _nameless(
        self, channel: int, troubles: dict[int, Trouble] | None, tried: Collection[int], model: str, at: float
    ) -> Choice | None:
        trouble = None if troubles is None else troubles.get(NAMELESS)
        if NAMELESS in tried or (trouble is not None and not trouble.usable(model, at)):
            return None
        if trouble is None:
            return Choice(None)
        trouble.used(at)
        return Choice(None, trouble.tight(model, at))

    def _turn(self, channel: ChannelSnapshot, places: Sequence[int], affinity: int) -> int:
        turns = self._turns.get(channel.id)
        if turns is None:
            turns = self._turns[channel.id] = Turns()
        if affinity:
            return turns.preferred(channel, places, affinity)
        return turns.next(channel, places, self.under_way)

    def only_tight(self, channel: ChannelSnapshot, now: float, model: str = "") -> bool:
        """Return whether a channel can be used, but with tight credentials only: better with another channel."""
        troubles = self._troubles.get(channel.id)
        if troubles is None:
            return False
        found = False
        for identity, nonce in _secrets(channel):
            trouble = troubles.get(identity)
            if trouble is None or trouble.nonce != nonce:
                return False
            if trouble.usable(model, now):
                if not trouble.tight(model, now):
                    return False
                found = True
        return found

    def free_at(
        self, channel: ChannelSnapshot, now: float, model: str = "", tried: Collection[int] = ()
    ) -> float | None:
        """Return when the channel's first credential can be used: ``now`` if one can, None if no other will be.

        A time to come is when to choose again, no promise: others may be as quick.

        Args:
            channel: whose credentials.
            now: monotonic seconds.
            model: the upstream's name, whose limits count.
            tried: ids that do not count. Those that are set aside do not, either.
        """
        troubles = self._troubles.get(channel.id)
        if troubles is None and not tried:
            return now
        first = math.inf
        for identity, nonce in _secrets(channel):
            if identity not in tried:
                trouble = None if troubles is None else troubles.get(identity)
                if trouble is None or trouble.nonce != nonce:
                    return now
                first = min(first, trouble.free_at(model, now))
        return None if first == math.inf else first

    def outlook(self, channel: ChannelSnapshot, now: float, model: str = "") -> Outlook:
        """Return whether and when the channel has a usable credential."""
        at = self.free_at(channel, now, model)
        usable = at is not None and at <= now
        return Outlook(usable, None if usable else at)

    # --- what attempts bring -----------------------------------------------------------------------------------

    def begin(self, channel: ChannelSnapshot, credential: SealedCredential | None, now: float, model: str = "") -> None:
        """An attempt begins. Call it in the turn in which it was chosen, or others may be let past a limit.

        Args:
            channel: whose.
            credential: what it uses.
            now: monotonic seconds at which it is made: later than now, if it was chosen for later.
            model: the upstream's name.
        """
        use = self._use(channel, credential)
        full_until = use.begin(self.dispatchers, now)
        if full_until > now:
            self._trouble(channel.id, credential).full_until = full_until
        gauge = use.gauges.get(model)
        if gauge is not None:
            gauge.begin(self.dispatchers, now)
            if gauge.tight_until > now:
                self._trouble(channel.id, credential).gauges[model] = gauge

    def end(self, channel: ChannelSnapshot, credential: SealedCredential | None, tokens: int, now: float) -> None:
        """An attempt is over. Call it once for each that began.

        Args:
            channel: whose.
            credential: what it used.
            tokens: input and output, 0 if it got none.
            now: monotonic seconds.
        """
        use = self._uses.get(channel.id, {}).get(_identity(credential))
        if use is None:
            return  # the channel was deleted meanwhile
        full_until = use.end(tokens, self.dispatchers, now)
        if full_until > now:
            self._trouble(channel.id, credential).full_until = full_until
        elif (trouble := self._troubles.get(channel.id, {}).get(_identity(credential))) is not None:
            trouble.full_until = full_until

    def under_way(self, channel: int, credential: int) -> int:
        """Return how many attempts a credential has in this dispatcher."""
        use = self._uses.get(channel, {}).get(credential)
        return 0 if use is None else use.under_way

    def note_limits(
        self,
        channel: ChannelSnapshot,
        credential: SealedCredential | None,
        limits: ProviderLimits,
        now: float,
        model: str = "",
    ) -> None:
        """Take what an answer says is left of its provider's limits. Call it once for each answer that says so.

        Args:
            channel: whose.
            credential: what it used.
            limits: from its header.
            now: monotonic seconds.
            model: the upstream's name.
        """
        use = self._use(channel, credential)
        gauge = use.gauge(model)
        gauge.read(limits, self.dispatchers, use.under_way, now)
        if gauge.tight_until > now or gauge.rest_until > now:
            self._trouble(channel.id, credential).gauges[model] = gauge

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
        self._trouble(channel, credential).refuse(reason, now, recheck_after_s)

    def cool(
        self,
        channel: int,
        credential: SealedCredential | None,
        now: float,
        for_ms: int | None = None,
        *,
        began: float = math.inf,
        draw: float = 0.0,
    ) -> None:
        """Rest a limited credential for as long as its provider asks, or a moment that doubles with each 429 in a row.

        A shorter wish does not shorten a longer one.

        Args:
            channel: its channel.
            credential: the limited one.
            now: monotonic seconds.
            for_ms: what the provider asks.
            began: when the attempt did. One that was under way when another was limited says nothing new.
            draw: uniform, 0 ≤ x < 1; makes a wait that nobody asked for longer by some part.
        """
        self._trouble(channel, credential).limit(now, for_ms, began, draw)

    def confirm(self, channel: int, credential: SealedCredential | None, began: float = math.inf) -> None:
        """Note that the provider took a credential. Call it on success.

        It ends a trial, and a row of 429s. Cooling and the time aside go on: an attempt that began before proves
        nothing.

        Args:
            channel: its channel.
            credential: the one that served.
            began: when the attempt did.
        """
        troubles = self._troubles.get(channel)
        if troubles is not None and (trouble := troubles.get(_identity(credential))) is not None:
            trouble.accept(began)

    def forget(self, channel: int) -> None:
        """Drop all that is known of a deleted channel."""
        self._troubles.pop(channel, None)
        self._turns.pop(channel, None)
        self._uses.pop(channel, None)

    def troubles(self, now: float) -> list[CredentialTrouble]:
        """Return every credential that its provider does not take now, for metrics."""
        return [
            found
            for channel, troubles in self._troubles.items()
            for credential, trouble in troubles.items()
            if (found := trouble.told(channel, credential, now)) is not None
        ]

    # --- records -----------------------------------------------------------------------------------------------

    def _use(self, channel: ChannelSnapshot, credential: SealedCredential | None) -> CredentialUse:
        uses = self._uses.get(channel.id)
        if uses is None:
            uses = self._uses[channel.id] = {}
        identity = _identity(credential)
        use = uses.get(identity)
        if use is None:
            if len(uses) >= max(len(channel.credentials), 1):
                self._forget_removed(channel, uses)
            use = uses[identity] = CredentialUse()
        use.limit(channel.limits, None if credential is None else credential.limits)
        return use

    def _forget_removed(self, channel: ChannelSnapshot, uses: dict[int, CredentialUse]) -> None:
        kept = {identity for identity, _ in _secrets(channel)}
        troubles = self._troubles.get(channel.id, {})
        for identity in [identity for identity, use in uses.items() if identity not in kept and not use.under_way]:
            del uses[identity]
            troubles.pop(identity, None)

    def _clean(self, channel: ChannelSnapshot, troubles: dict[int, Trouble], now: float) -> None:
        """Drop what is over, and what was of another secret."""
        for identity, nonce in _secrets(channel):
            trouble = troubles.get(identity)
            if trouble is not None and (trouble.nonce != nonce or trouble.over(now)):
                del troubles[identity]
        if not troubles:
            self._troubles.pop(channel.id, None)

    def _trouble(self, channel: int, credential: SealedCredential | None) -> Trouble:
        nonce = b"" if credential is None else credential.nonce
        troubles = self._troubles.setdefault(channel, {})
        trouble = troubles.get(_identity(credential))
        if trouble is None or trouble.nonce != nonce:
            trouble = troubles[_identity(credential)] = Trouble(nonce)
        return trouble


def _identity(credential: SealedCredential | None) -> int:
    return NAMELESS if credential is None else credential.id


def _secrets(channel: ChannelSnapshot) -> list[tuple[int, bytes]]:
    return [(credential.id, credential.nonce) for credential in channel.credentials] or [(NAMELESS, b"")]


def _usable(
    credentials: tuple[SealedCredential, ...],
    places: Sequence[int],
    troubles: dict[int, Trouble],
    model: str,
    at: float,
) -> tuple[list[int], bool]:
    """Return the places that can be used: the tight ones, and True, only if there is no other."""
    free: list[int] = []
    tight: list[int] = []
    for place in places:
        trouble = troubles.get(credentials[place].id)
        if trouble is None:
            free.append(place)
        elif trouble.usable(model, at):
            (tight if trouble.tight(model, at) else free).append(place)
    return free or tight, not free
