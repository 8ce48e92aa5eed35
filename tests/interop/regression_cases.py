"""What the tests of DIALECTS section 8 share: the marks of its cases, and what several of them send."""

import json
from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.interop.golden_files import golden
from trunkline.protocol.names import ANTHROPIC, CONVERSATIONAL

CASES = range(1, 41)
"""Numbers of the cases."""

Test = TypeVar("Test", bound=Callable[..., None])


def case(number: int) -> Callable[[Test], Test]:
    """Note that a test is of a case."""
    assert number in CASES
    return lambda test: test


every_dialect = pytest.mark.parametrize("dialect", CONVERSATIONAL)

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
PNG = json.loads(golden(ANTHROPIC, "image_and_file").request)["messages"][0]["content"][1]["source"]["data"]
