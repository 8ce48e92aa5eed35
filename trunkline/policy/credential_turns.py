"""Whose turn it is among a channel's credentials. Asked by `policy.credentials` with those that can be used. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from trunkline.bus.snapshots import ChannelSnapshot, CredentialOrder, SealedCredential
from trunkline.core.hashing import mix64
from trunkline.policy.preference import Preference


class Turns:
    """One channel's."""

    __slots__ = ("_credentials", "_debts", "_order", "_preference", "_turn")

    def __init__(self) -> None:
        self._turn = 0
        self._debts: dict[int, int] = {}
        self._credentials: tuple[SealedCredential, ...] = ()
        self._order = CredentialOrder.TURNS
        self._preference = Preference(())

    def next(self, channel: ChannelSnapshot, places: Sequence[int], under_way: Callable[[int, int], int]) -> int:
        """Return the place of the credential that an attempt without a conversation uses; its turn is over then.

        Args:
            channel: whose turns they are.
            places: at least one, in ascending order: which credentials can be used.
            under_way: how many attempts a channel's credential has, by their ids.
        """
        order, turn, count = channel.credential_order, self._turn, len(channel.credentials)
        if order is CredentialOrder.WEIGHTED:
            return self._weighted(channel.credentials, places)
        if order is CredentialOrder.LEAST_USED:
            place = min(
                places, key=lambda place: (under_way(channel.id, channel.credentials[place].id), (place - turn) % count)
            )
        elif len(places) == count:
            place = turn if turn < count else 0
        else:
            index = bisect_left(places, turn)
            place = places[index if index < len(places) else 0]
        self._turn = place + 1
        return place

    def _weighted(self, credentials: tuple[SealedCredential, ...], places: Sequence[int]) -> int:
        """Smooth weighted turns, as nginx takes them: each is owed its weight, and who is owed most pays for all.

        In a round of as many turns as the weights add up to, each has exactly its own, spread over the round. A
        credential of weight 0 is taken only where there is no other.
        """
        debts = self._debts
        if len(debts) > len(credentials):
            known = {credential.id for credential in credentials}
            self._debts = debts = {identity: debt for identity, debt in debts.items() if identity in known}
        best, most, total = places[0], None, 0
        for place in places:
            credential = credentials[place]
            if credential.weight > 0:
                total += credential.weight
                debt = debts[credential.id] = debts.get(credential.id, 0) + credential.weight
                if most is None or debt > most:
                    best, most = place, debt
        if most is not None:
            debts[credentials[best].id] = most - total
        return best

    def preferred(self, channel: ChannelSnapshot, places: Sequence[int], affinity: int) -> int:
        """Return the place of the credential that a conversation prefers; nobody's turn is over for it.

        Args:
            channel: whose credentials.
            places: at least one, in ascending order: which credentials can be used.
            affinity: of the conversation (`policy.affinity`).
        """
        if self._credentials is not channel.credentials or self._order is not channel.credential_order:
            self._credentials, self._order = channel.credentials, channel.credential_order
            weighted = channel.credential_order is CredentialOrder.WEIGHTED
            self._preference = Preference(
                (credential.id, float(credential.weight) if weighted else 1.0) for credential in channel.credentials
            )
        place = -1
        # Not the next in line: if one is limited, its conversations must not all fall on one other.
        for place in self._preference.picks(mix64(affinity ^ mix64(channel.id))):
            if place in places:
                return place
        return next((other for other in places if other > place), places[0])
