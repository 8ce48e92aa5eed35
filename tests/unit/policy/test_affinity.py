"""What counts as a conversation, and what is drawn from it."""

import pytest

from trunkline.core.hashing import digest64, mix64
from trunkline.policy.affinity import CONVERSATION_HEADERS, affinity_of, draws


def test_the_name_in_the_body_counts_before_the_headers_and_those_before_the_opening() -> None:
    headers = dict.fromkeys(CONVERSATION_HEADERS, "here")
    by_header = affinity_of(1, headers, named=0, opening=0)
    assert affinity_of(1, headers, named=5, opening=6) == affinity_of(1, {}, named=5, opening=0)
    assert affinity_of(1, headers, named=0, opening=6) == by_header == mix64(digest64(b"here") ^ mix64(1))
    assert affinity_of(1, {}, named=0, opening=6) == mix64(6 ^ mix64(1))
    assert len({by_header, affinity_of(1, {}, named=5, opening=0), affinity_of(1, {}, named=0, opening=6)}) == 3


@pytest.mark.parametrize("header", ["session_id", "x-session-id", "x-claude-code-session-id", "conversation_id"])
def test_each_of_the_headers_names_a_conversation(header: str) -> None:
    named = affinity_of(1, {header: "a"}, named=0, opening=6)
    assert named == affinity_of(1, {header: "a", "user-agent": "x"}, named=0, opening=7)
    assert named not in (affinity_of(1, {header: "b"}, named=0, opening=6), 0)
    assert affinity_of(1, {header: ""}, named=0, opening=6) == affinity_of(1, {}, named=0, opening=6)
    assert affinity_of(1, {header: "\xe9\xff"}, named=0, opening=0) != 0


def test_without_anything_there_is_no_conversation() -> None:
    assert affinity_of(1, {"x-request-id": "a", "user": "u"}, named=0, opening=0) == 0


def test_two_accounts_never_share_a_conversation() -> None:
    affinities = {affinity_of(account, {}, named=0, opening=6) for account in range(100)}
    assert len(affinities) == 100
    assert all(0 < affinity < 2**64 for affinity in affinities)


def test_a_conversation_is_never_none() -> None:
    # Whatever it is mixed from, 0 is kept for none.
    assert affinity_of(1, {}, named=mix64(1), opening=0) == 1


def test_draws_are_those_of_splitmix64() -> None:
    draw = draws(1234567)
    first = [draw() for _ in range(3)]
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert first == pytest.approx([number / 2**64 for number in expected], rel=1e-12)
    again = draws(1234567)
    assert [again() for _ in range(3)] == first


def test_draws_are_uniform() -> None:
    draw = draws(7)
    drawn = [draw() for _ in range(10_000)]
    assert all(0.0 < number < 1.0 for number in drawn)
    tenths = [sum(int(number * 10) == tenth for number in drawn) for tenth in range(10)]
    assert all(850 < count < 1150 for count in tenths)
