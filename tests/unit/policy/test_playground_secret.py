"""Secrets of the playground's keys are computed, and their names are free ones."""

from trunkline.policy.keys import well_formed
from trunkline.policy.playground import key_name, secret_of

PEPPER = b"a pepper of the tests"


def test_a_secret_is_always_the_same_and_well_formed() -> None:
    assert secret_of(7, PEPPER) == secret_of(7, PEPPER)
    assert well_formed(secret_of(7, PEPPER))


def test_each_seed_and_each_pepper_has_its_own() -> None:
    secrets = {secret_of(seed, pepper) for seed in range(100) for pepper in (PEPPER, b"another")}
    assert len(secrets) == 200


def test_names() -> None:
    assert key_name("kim", 1, 128) == "playground of kim"
    assert key_name("kim", 2, 128) == "playground of kim 2"
    assert key_name("k" * 128, 12, 128) == f"playground of {'k' * 111} 12"
