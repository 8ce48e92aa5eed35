"""For all tests."""

from hypothesis import settings

settings.register_profile("quick", max_examples=20)
"""For `make check`; `make test` tries as many as Hypothesis would."""
