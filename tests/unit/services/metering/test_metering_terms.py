"""Terms as metering holds them, while others learn of changes and make room at the same time."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import cast

import pytest

from services.metering import terms as terms_module
from services.metering.terms import TERMS_AGE_MAX_S, TermsBook
from tests.support.manual_clock import ManualClock
from trunkline.policy.meters import AccountTerms, HolderTerms, Limits
from trunkline.store.database import Connection

CONNECTION = cast("Connection", None)


class Store:
    """The terms of accounts 1 to 9, whose keys have their own number as a limit; `rpm` is of all accounts."""

    def __init__(self) -> None:
        self.mark = 1
        self.rpm = 10
        self.loads: list[dict[int, set[int]]] = []
        self.marks_read = 0
        self.during: Callable[[], Awaitable[None]] | None = None

    async def read_mark(self, _connection: Connection) -> int:
        self.marks_read += 1
        return self.mark

    async def load(self, _connection: Connection, keys: Mapping[int, Collection[int]]) -> dict[int, AccountTerms]:
        self.loads.append({account: set(wanted) for account, wanted in keys.items()})
        found = {
            account: AccountTerms(
                account,
                limits=Limits(rpm=self.rpm),
                keys={key: HolderTerms(Limits(rpm=key), user=5) for key in wanted if key < 100},
                users={5: HolderTerms(Limits(rpd=5))} if wanted else {},
            )
            for account, wanted in keys.items()
            if account < 10
        }
        if self.during is not None:
            during, self.during = self.during, None
            await during()
        return found


class Rig:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock()
        self.book = TermsBook(self.clock)

    async def load(self, **wanted: Collection[int]) -> dict[int, AccountTerms]:
        """Load accounts, named ``a1`` and so on, with keys."""
        return await self.book.load(CONNECTION, {int(name[1:]): keys for name, keys in wanted.items()})


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    store = Store()
    monkeypatch.setattr(terms_module, "load_terms", store.load)
    monkeypatch.setattr(terms_module, "read_terms_mark", store.read_mark)
    return Rig(store)


async def test_terms_are_read_once_with_each_key(rig: Rig) -> None:
    found = await rig.load(a1=[2], a2=[])
    assert found[1].keys == {2: HolderTerms(Limits(rpm=2), user=5)}
    assert (found[2].keys, found[2].limits) == ({}, Limits(rpm=10))
    assert (await rig.load(a1=[2]))[1] == found[1]
    both = (await rig.load(a1=[2, 3]))[1]
    assert (set(both.keys), both.users) == ({2, 3}, {5: HolderTerms(Limits(rpd=5))})
    assert set((await rig.load(a1=[3]))[1].keys) == {3}, "only those that were asked for"
    assert rig.store.loads == [{1: {2}, 2: set()}, {1: {2, 3}}]


async def test_what_is_not_there_is_left_out(rig: Rig) -> None:
    found = await rig.load(a1=[2, 500], a99=[1])
    assert (set(found), set(found[1].keys)) == ({1}, {2})
    await rig.load(a1=[500])
    assert len(rig.store.loads) == 1, "a key that is gone is not looked for again"


async def test_a_change_is_noticed_in_time(rig: Rig) -> None:
    await rig.load(a1=[])
    assert rig.book.version == 1
    rig.store.rpm, rig.store.mark = 20, 2
    await rig.clock.advance(TERMS_AGE_MAX_S - 0.1)
    assert (await rig.load(a1=[]))[1].limits == Limits(rpm=10)
    await rig.clock.advance(0.2)
    assert (await rig.load(a1=[]))[1].limits == Limits(rpm=20)
    assert (rig.book.version, rig.store.marks_read) == (2, 2)


async def test_what_was_read_before_a_change_that_somebody_else_noticed_is_read_again(rig: Rig) -> None:
    await rig.load(a2=[])
    await rig.clock.advance(TERMS_AGE_MAX_S - 0.1)

    async def change() -> None:
        rig.store.rpm, rig.store.mark = 20, 2
        await rig.clock.advance(0.2)
        await rig.book.refresh(CONNECTION)

    rig.store.during = change
    assert (await rig.load(a1=[2]))[1].limits == Limits(rpm=20)
    assert (await rig.load(a1=[2]))[1].limits == Limits(rpm=20)


async def test_accounts_that_were_let_go_meanwhile_are_not_taken_for_deleted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms_module, "ACCOUNTS_MAX", 2)
    await rig.load(a1=[])

    async def crowd() -> None:
        await rig.load(a3=[], a4=[], a5=[])

    rig.store.during = crowd
    assert set(await rig.load(a1=[], a2=[])) == {1, 2}


async def test_the_accounts_longest_unused_go_first(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms_module, "ACCOUNTS_MAX", 3)
    await rig.load(a1=[], a2=[], a3=[])
    await rig.load(a1=[])
    await rig.load(a4=[])
    rig.store.loads.clear()
    await rig.load(a1=[], a3=[], a4=[])
    assert rig.store.loads == []
    await rig.load(a2=[])
    assert rig.store.loads == [{2: set()}]


async def test_keys_of_one_account_are_held_up_to_a_bound_and_none_of_those_asked_for_is_missing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms_module, "KEYS_MAX", 5)
    await rig.load(a1=range(1, 7))
    found = await rig.load(a1=[1, 2, 50])
    assert set(found[1].keys) == {1, 2, 50}
    assert rig.store.loads[-1] == {1: {1, 2, 50}}
    assert rig.book._known[1].keys == {1, 2, 50}

    async def others() -> None:
        await rig.load(a1=range(10, 17))
        await rig.load(a1=[17])

    rig.store.during = others
    assert set((await rig.load(a1=[1, 2, 60]))[1].keys) == {1, 2, 60}
