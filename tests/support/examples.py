"""How many examples a property test tries: a share of what the profile has, so that `make check` tries fewer of all."""

from hypothesis import settings


def examples(share: float = 1.0) -> int:
    """Return how many to try.

    Args:
        share: of the profile's number (100, or 20 for `make check`): more where examples are cheap and what is looked
            for is rare, fewer where each takes long.
    """
    return max(1, round(settings().max_examples * share))
