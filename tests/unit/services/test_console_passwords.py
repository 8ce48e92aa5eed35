"""Hashing passwords: what is stored, what an unknown name costs, and how many wait."""

import asyncio

import argon2
import pytest

from services.console import passwords
from services.console.http import RequestError
from services.console.passwords import WAITING_MAX, Passwords
from tests.support.waiting import eventually

PASSWORD = "seven lazy harbours"


@pytest.fixture
def hasher() -> Passwords:
    return Passwords()


async def test_a_password_is_that_of_its_hash_alone(hasher: Passwords) -> None:
    stored = await hasher.hash(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert stored != await hasher.hash(PASSWORD)
    assert await hasher.verify(stored, PASSWORD) is True
    assert await hasher.verify(stored, f"{PASSWORD} ") is False
    assert await hasher.verify(stored, "seven lazy harbour\uff53") is True  # the same key strokes, full-width
    assert await hasher.verify("no hash", PASSWORD) is False
    hasher.close()


async def test_without_a_hash_the_same_work_is_done_in_vain(hasher: Passwords) -> None:
    # The stand-in is a hash like any other, or comparing would end at once.
    dummy = argon2.extract_parameters(passwords._DUMMY)
    real = argon2.extract_parameters(await hasher.hash(PASSWORD))
    assert dummy == real
    assert await hasher.verify(None, PASSWORD) is False
    assert hasher.verified == 1
    hasher.close()


async def test_a_hash_of_other_parameters_is_made_anew(hasher: Passwords) -> None:
    assert hasher.outdated(argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD))
    assert not hasher.outdated(await hasher.hash(PASSWORD))
    hasher.close()


async def test_so_many_wait_and_others_are_sent_away(hasher: Passwords) -> None:
    held = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(_stored: str, _password: str) -> bool:
        asyncio.run_coroutine_threadsafe(held.wait(), loop).result()
        return True

    async def all_wait() -> bool:
        return hasher._waiting == WAITING_MAX

    hasher._verify = hold  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(hasher.verify("x", PASSWORD)) for _ in range(WAITING_MAX)]
        await eventually(all_wait, within_s=10, what="a full queue")
        with pytest.raises(RequestError) as refused:
            await hasher.verify("x", PASSWORD)
        held.set()
    assert (refused.value.status, refused.value.retry_after_s) == (503, 5)
    assert [task.result() for task in waiting] == [True] * WAITING_MAX
    hasher.close()
