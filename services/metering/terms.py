"""The terms of accounts as metering holds them: read when first needed, dropped when any of them changed."""

from collections import OrderedDict
from collections.abc import Collection, Mapping

import msgspec

from trunkline.core.clock import Clock
from trunkline.policy.meters import AccountTerms
from trunkline.store.database import Connection
from trunkline.store.terms import load_terms, read_terms_mark

TERMS_AGE_MAX_S = 0.4
"""How long changed terms may take to be noticed. A second, with the half lease after which a busy edge reports and the
moment for which its keys go on meanwhile (`policy.lease.OUTDATED_S`)."""

ACCOUNTS_MAX = 20_000
"""Accounts whose terms are held; least recently used first out. About 1 KB each, and 0.2 KB for a key."""

KEYS_MAX = 10_000
"""Keys of one account whose terms are held; past it they are all read again when they are next asked for."""


class _Known:
    """Terms of one account and of the keys asked about so far."""

    __slots__ = ("keys", "terms")

    def __init__(self, terms: AccountTerms) -> None:
        self.terms = terms
        self.keys: set[int] = set()


class TermsBook:
    """Terms by account.

    Args:
        clock: of the process.

    Attributes:
        version: another number after each change of anybody's terms.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: OrderedDict[int, _Known] = OrderedDict()
        self._mark: int | None = None
        self._checked = 0.0
        self.version = 0

    async def refresh(self, connection: Connection) -> None:
        """Drop what is held if terms have changed. Looks at most every `TERMS_AGE_MAX_S`."""
        now = self._clock.now()
        if self._mark is not None and now - self._checked < TERMS_AGE_MAX_S:
            return
        mark = await read_terms_mark(connection)
        self._checked = now
        if mark != self._mark:
            self._mark = self.version = mark
            self._known.clear()

    async def load(self, connection: Connection, wanted: Mapping[int, Collection[int]]) -> dict[int, AccountTerms]:
        """Return the terms of accounts, each with those of the keys wanted; accounts that do not exist are left out.

        Args:
            connection: in any state.
            wanted: keys by account.
        """
        await self.refresh(connection)
        absent: set[int] = set()
        # Again if somebody else has changed what is held meanwhile: learned of new terms, or made room.
        while missing := {account: keys for account, keys in self._missing(wanted).items() if account not in absent}:
            mark = self._mark
            loaded = await load_terms(connection, missing)
            if mark == self._mark:  # else it may be from before the change
                absent.update(missing.keys() - loaded.keys())
                for account, terms in loaded.items():
                    self._learn(account, terms, missing[account])
        found = {}
        for account, keys in wanted.items():
            if account not in absent:
                self._known.move_to_end(account)
                found[account] = _of_keys(self._known[account].terms, keys)
        while len(self._known) > max(ACCOUNTS_MAX, len(wanted)):
            self._known.popitem(last=False)
        return found

    def _missing(self, wanted: Mapping[int, Collection[int]]) -> dict[int, set[int]]:
        """Return the keys that are to be read, by account."""
        missing = {}
        for account, keys in wanted.items():
            known = self._known.get(account)
            if known is None or not known.keys.issuperset(keys):
                if known is not None and len(known.keys) > KEYS_MAX:
                    del self._known[account]
                missing[account] = set(keys)
        return missing

    def _learn(self, account: int, terms: AccountTerms, keys: Collection[int]) -> None:
        known = self._known.get(account)
        if known is None:
            known = self._known[account] = _Known(terms)
        else:
            known.terms = msgspec.structs.replace(
                terms, keys={**known.terms.keys, **terms.keys}, users={**known.terms.users, **terms.users}
            )
        # Those that do not exist as well: nothing bounds a key that was deleted, and its last jobs are to be settled.
        known.keys.update(keys)


def _of_keys(terms: AccountTerms, keys: Collection[int]) -> AccountTerms:
    if len(terms.keys) <= len(keys):
        return terms
    return msgspec.structs.replace(terms, keys={key: terms.keys[key] for key in keys if key in terms.keys})
