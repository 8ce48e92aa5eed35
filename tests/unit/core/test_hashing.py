"""Hashes that every process must agree on: their values are part of what processes say to each other."""

from trunkline.core.hashing import GOLDEN, digest64, fraction, mix64


def test_mixing_is_the_last_step_of_splitmix64() -> None:
    # The first numbers that the generator draws from the seeds 0 and 1234567.
    assert mix64(GOLDEN) == 0xE220A8397B1DCDAF
    drawn = [mix64(1234567 + step * GOLDEN) for step in (1, 2, 3)]
    assert drawn == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_mixing_takes_numbers_of_any_size() -> None:
    assert mix64(2**64 + 5) == mix64(5) < 2**64
    assert mix64(-1) == mix64(2**64 - 1)


def test_a_digest_is_the_same_everywhere() -> None:
    assert digest64(b"") == 0xE4A6A0577479B2B4
    assert digest64(b"conversation") == digest64(b"conversation") != digest64(b"conversations")


def test_a_fraction_lies_between_0_and_1() -> None:
    assert 0.0 < fraction(0) < 2.0**-52
    assert fraction(2**63) == 0.5 + 2.0**-53
    assert 1.0 - 2.0**-52 < fraction(2**64 - 1) < 1.0
