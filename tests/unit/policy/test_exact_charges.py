"""Which attempt of a job is charged: what is exact goes before checkpoints, whatever comes first."""

from itertools import permutations

import pytest

from trunkline.policy.exact_charges import due_charges


@pytest.mark.parametrize(
    ("booked", "guessed", "exact", "due"),
    [
        ({1: 140}, {1}, {1: 200}, {1: 200}),
        ({1: 140}, {1}, {1: 110}, {1: 110}),
        ({1: 140}, {1}, {1: 0}, {1: 0}),
        ({1: 140}, {1}, {1: 140}, {1: 140}),
        ({}, {1}, {1: 200}, {1: 200}),
        # Another offer has been answered.
        ({1: 140}, {1}, {17: 200}, {17: 200, 1: 0}),
        ({1: 0}, (), {17: 200}, {17: 200}),
        ({1: 140}, {1, 17}, {17: 200}, {17: 200, 1: 0}),
        ({1: 140}, {1}, {17: 0}, {}),
        # The first that is exact is charged, and no copy changes anything.
        ({1: 200}, (), {17: 300}, {}),
        ({1: 200}, {17}, {17: 300}, {17: 0}),
        ({1: 200}, (), {1: 200}, {}),
        ({1: 140}, {1}, {1: 200, 17: 300}, {1: 200}),
        ({1: 140}, {1}, {1: 0, 17: 300}, {1: 0, 17: 300}),
    ],
)
def test_what_is_due(booked: dict[int, int], guessed: set[int], exact: dict[int, int], due: dict[int, int]) -> None:
    assert due_charges(booked, guessed, exact) == due


@pytest.mark.parametrize("paid", [0, 1, 2, 17])
def test_in_any_order_the_one_attempt_that_is_paid_for_is_charged_in_the_end(paid: int) -> None:
    """Three attempts of a job, each with a checkpoint that may be settled before its exact usage comes."""
    steps = [(attempt, exact) for attempt in (1, 2, 17) for exact in (False, True)]
    for order in permutations(steps):
        charges: dict[int, int] = {}
        guesses: set[int] = set()
        known: set[int] = set()
        for attempt, exact in order:
            wanted = 140 if not exact else 200 if attempt == paid else 0
            if attempt not in known:
                known.add(attempt)
                if not exact:
                    guesses.add(attempt)
                if wanted and not charges:
                    charges[attempt] = wanted
            if exact:
                charges |= due_charges(charges, guesses, {attempt: wanted})
                guesses.discard(attempt)
        assert {attempt: nano for attempt, nano in charges.items() if nano} == ({paid: 200} if paid else {})
