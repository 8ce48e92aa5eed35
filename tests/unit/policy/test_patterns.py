"""Patterns of names: what they match, and that nobody can make one that takes long."""

import time

import pytest

from trunkline.bus.snapshots import KeyPolicy
from trunkline.core.limits import MODEL_NAME_CHARS_MAX
from trunkline.policy.keys import CompiledKey
from trunkline.policy.patterns import matches_any

BOUND_S = 1.0
"""Of the processor: what a backtracking matcher would take is years; this one takes some 10 µs."""


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o", "my-gpt-4o", False),
        ("gpt-*", "gpt-", True),
        ("gpt-*", "GPT-4o", False),
        ("*-mini", "gpt-4o-mini", True),
        ("*-mini", "gpt-4o-mini-2", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-c-c-b", False),
        ("a*bc*c", "abc", False),
        ("a**b", "ab", True),
        ("*ab*ab*", "aab-ab", True),
        ("*ab*ab*", "aabb", False),
        ("*", "", True),
        ("", "", True),
        ("", "a", False),
        ("a.c", "abc", False),
        ("a*", "a\nb", True),
    ],
)
def test_a_star_stands_for_any_characters(pattern: str, name: str, matches: bool) -> None:
    assert matches_any((pattern,), name) is matches
    assert matches_any(("other", pattern), name) is matches


def test_no_pattern_matches_nothing() -> None:
    assert not matches_any((), "")


def test_a_member_cannot_hold_an_edge_up_with_a_pattern_and_a_name_for_it() -> None:
    """Members of an account make keys, and an edge matches the names that they ask for on its event loop."""
    name = "a" * MODEL_NAME_CHARS_MAX
    pattern = "*a" * (MODEL_NAME_CHARS_MAX // 2 - 1) + "*b"
    began = time.process_time()
    key = CompiledKey(KeyPolicy(key=1, key_name="k", account=2, account_name="a", models=(pattern,) * 100))
    assert not key.allows_model(name)
    assert not matches_any((pattern,) * 100, name)
    assert time.process_time() - began < BOUND_S
