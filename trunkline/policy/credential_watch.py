"""Which credentials their providers refuse, over all dispatchers: each change becomes one event for the history.

Dispatchers set a refused credential aside by themselves (`policy.credentials`); this is for people, who are told once.
Kept by health. Pure.
"""

from collections.abc import Iterable

from trunkline.bus.messages import AttemptOutcome, CredentialEvent
from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.core.errors import ErrorType


class CredentialWatch:
    """The refused credentials. Bounded by what is configured.

    Args:
        last: the last event of each credential of which there is one, so that a restart tells nothing twice.
    """

    __slots__ = ("_refused",)

    def __init__(self, last: Iterable[CredentialEvent] = ()) -> None:
        # The nonce tells a replaced secret from the one that was refused; of one refused before the start it is learnt
        # from the channel.
        self._refused: dict[int, dict[int, bytes | None]] = {}
        for event in last:
            if event.refused:
                self._refused.setdefault(event.channel, {})[event.credential] = None

    def receive(self, channel: ChannelSnapshot, outcome: AttemptOutcome, at_ms: int) -> CredentialEvent | None:
        """Take an attempt's outcome.

        Args:
            channel: that was called.
            outcome: of the attempt.
            at_ms: Unix time in milliseconds.
        """
        refused = self._refused.get(channel.id)
        if outcome.error is None:
            if refused is None or outcome.credential not in refused:
                return None
            self._drop(channel.id, outcome.credential)
            return CredentialEvent(channel.id, outcome.credential, at_ms, refused=False)
        if outcome.error is not ErrorType.UPSTREAM_CREDENTIAL or (
            refused is not None and outcome.credential in refused
        ):
            return None
        nonce = next((each.nonce for each in channel.credentials if each.id == outcome.credential), None)
        if nonce is None:
            return None
        self._refused.setdefault(channel.id, {})[outcome.credential] = nonce
        return CredentialEvent(channel.id, outcome.credential, at_ms, refused=True, status=outcome.status)

    def put(self, channel: ChannelSnapshot, at_ms: int) -> list[CredentialEvent]:
        """Take a new or changed channel: what stood against a credential that is gone or replaced is over."""
        nonces = {credential.id: credential.nonce for credential in channel.credentials}
        over: list[CredentialEvent] = []
        for credential, nonce in list(self._refused.get(channel.id, {}).items()):
            if credential in nonces and nonce in (None, nonces[credential]):
                self._refused[channel.id][credential] = nonces[credential]
            else:
                self._drop(channel.id, credential)
                over.append(CredentialEvent(channel.id, credential, at_ms, refused=False))
        return over

    def channels(self) -> set[int]:
        """Return the channels that have refused credentials."""
        return set(self._refused)

    def remove(self, channel: int, at_ms: int) -> list[CredentialEvent]:
        """Forget a channel that is gone."""
        return [
            CredentialEvent(channel, credential, at_ms, refused=False) for credential in self._refused.pop(channel, {})
        ]

    def refused(self, channel: int) -> int:
        """Return how many of a channel's credentials are refused, for metrics."""
        return len(self._refused.get(channel, ()))

    def _drop(self, channel: int, credential: int) -> None:
        del self._refused[channel][credential]
        if not self._refused[channel]:
            del self._refused[channel]
