"""The functions that `make fuzz` runs, on their seeds and a few mutations of them."""

import random

import pytest

from tests.fuzz.targets import TARGETS, Target
from trunkline.protocol import names

MUTATIONS = 40
BYTES = (b"", b'"', b"{", b"}", b"\n", b"\r", b"\n\n", b"\xff", b"null", b"-1", b":", b"\\ud800")


def mutated(target: Target, chance: random.Random) -> bytes:
    seed = chance.choice(target.seeds)
    for _ in range(chance.randint(1, 4)):
        position = chance.randrange(len(seed) + 1)
        seed = seed[:position] + chance.choice(BYTES) + seed[position + chance.randint(0, 4) :]
    return seed


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_on_its_seeds_and_near_them(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds:
        target.run(seed)
    chance = random.Random(name)
    for _ in range(MUTATIONS):
        target.run(mutated(target, chance))


def test_every_reader_of_every_dialect_is_a_target() -> None:
    kinds = ("events", "answer", "relay", "request", "head")
    assert set(TARGETS) == {"sse", "form"} | {f"{name}.{kind}" for name in names.CONVERSATIONAL for kind in kinds}
