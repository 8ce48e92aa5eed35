"""The command line of `trunkline dev`: all faults at once."""

from pathlib import Path

import pytest

from trunkline.dev import options
from trunkline.dev.options import Options


def test_nothing_given_is_the_usual_stack() -> None:
    assert options.parse([]) == (Options(port=8080, edges=1, data_dir=Path(".data/dev")), [])


def test_values_come_after_a_space_or_an_equals_sign() -> None:
    parsed, faults = options.parse(["--port", "0", "--edges=2", "--dispatchers", "3", "--data-dir", "a b", "--model"])
    assert parsed == Options(port=0, edges=2, dispatchers=3, data_dir=Path("a b"), model=True)
    assert faults == []


def test_every_fault_is_named() -> None:
    parsed, faults = options.parse(
        ["--port", "x", "--edges=0", "--what", "--model=1", "--log-level", "loud", "--dispatchers=2", "--config"]
    )
    assert parsed.dispatchers == 2
    assert len(faults) == 6
    for word in ("--port", "--edges", "--what", "--model", "--log-level", "--config"):
        assert any(fault.startswith(word) for fault in faults)


@pytest.mark.parametrize("port", ["-1", "65536", "1.5", "", "٣"])
def test_port_is_in_range(port: str) -> None:
    parsed, faults = options.parse([f"--port={port}"])
    assert len(faults) == 1
    assert parsed.port == 8080


def test_help_names_every_option() -> None:
    text = options.help_text()
    for field in Options.__dataclass_fields__:
        assert f"--{field.replace('_', '-')}" in text
