"""For all tests."""

import gc

from hypothesis import settings

settings.register_profile("quick", max_examples=20)
"""For `make check`; `make test` tries as many as Hypothesis would. See `tests.support.examples`."""


def pytest_collection_finish() -> None:
    """Ten thousand tests and what they import stay to the end: the garbage collector need not look at them again."""
    gc.freeze()
