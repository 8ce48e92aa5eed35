"""For all tests."""

import gc
from typing import Any

from hypothesis import HealthCheck, settings

UNTIMED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
"""How long an example takes says as much of what else the machine does."""

settings.register_profile("whole", **UNTIMED)
settings.register_profile("quick", max_examples=20, **UNTIMED)
"""For `make check`; `make test` tries as many as Hypothesis would. See `tests.support.examples`."""

settings.load_profile("whole")


def pytest_collection_finish() -> None:
    """Ten thousand tests and what they import stay to the end: the garbage collector need not look at them again."""
    gc.freeze()
