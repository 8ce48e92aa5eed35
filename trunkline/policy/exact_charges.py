"""Which attempt of a job its client pays, once exact usage comes for what checkpoints had been settled for.

A job is charged for one attempt: the first one settled. What is exact goes before what was only a checkpoint, in
whichever order they come.
"""

from collections.abc import Collection, Mapping


def due_charges(booked: Mapping[int, int], guessed: Collection[int], exact: Mapping[int, int]) -> dict[int, int]:
    """Return what attempts of one job are to be charged from now on; those that are left out stay as they are.

    Args:
        booked: what attempts are charged now, in nano-USD by attempt; those without a charge may be missing.
        guessed: attempts of which a checkpoint was settled, and nothing exact yet.
        exact: what attempts would be charged by exact usage that has come now; zero if their client does not pay.
    """
    charges, guesses = dict(booked), set(guessed)
    due = {}
    for attempt, nano in sorted(exact.items()):
        was_guess = attempt in guesses
        guesses.discard(attempt)
        if not was_guess and charges.get(attempt):
            continue  # a copy
        others = {other for other, charge in charges.items() if charge and other != attempt}
        target = 0 if others - guesses else nano
        if was_guess or target:
            due[attempt] = charges[attempt] = target
        if target:
            for other in others:
                due[other] = charges[other] = 0
    return due
