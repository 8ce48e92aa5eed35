"""What a development stack applies: the built-in configuration, or a file."""

from pathlib import Path

import msgspec
import pytest

from trunkline.dev import configure, secrets
from trunkline.policy.configuration import ConfigurationError, Names
from trunkline.policy.configuration_file import load

NOW_MS = 1_800_000_000_000
KEY = secrets.draw().api_key

FILE = """
channels:
  - {name: one, dialect: openai, base_url: "http://127.0.0.1:1/v1", credentials: ["env:SECRET_A"], models: {m: m}}
models: [{name: m, price: {input: 1, output: 2}}]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_built_in_configuration_is_one_that_the_console_takes() -> None:
    wanted = configure.with_key(configure.demo("http://127.0.0.1:9/v1"), KEY)
    wanted = configure.with_model(wanted, "http://127.0.0.1:10/v1")
    parsed = msgspec.json.decode(msgspec.json.encode(wanted.configuration))
    assert load(parsed, {}, Names(), NOW_MS) == wanted.configuration
    assert wanted.api_key == KEY
    assert wanted.model == "smollm2"


def test_file_without_a_key_gets_the_demo_account(tmp_path: Path) -> None:
    wanted = configure.from_file(write(tmp_path, FILE), {"SECRET_A": "sk-upstream"}, NOW_MS)
    wanted = configure.with_key(wanted, KEY)
    assert wanted.configuration.channels[0].credentials == ("sk-upstream",)
    assert wanted.api_key == KEY
    assert wanted.model == "m"


def test_file_with_a_key_is_left_as_it_is(tmp_path: Path) -> None:
    other = secrets.draw().api_key
    text = f"{FILE}\naccounts: [{{name: empty}}, {{name: a, keys: [{{name: k, secret: {other}}}]}}]\n"
    wanted = configure.from_file(write(tmp_path, text), {"SECRET_A": "sk-upstream"}, NOW_MS)
    assert configure.with_key(wanted, KEY) == wanted
    assert wanted.api_key == other


def test_variables_that_hold_secrets_are_known(tmp_path: Path) -> None:
    wanted = configure.from_file(write(tmp_path, FILE), {"SECRET_A": "sk-upstream", "OTHER": "x"}, NOW_MS)
    assert wanted.variables == {"SECRET_A"}


def test_all_faults_of_a_file_are_named_without_its_secrets(tmp_path: Path) -> None:
    text = FILE.replace("openai", "french").replace("env:SECRET_A", "env:NOT_SET") + "extra: 1\n"
    with pytest.raises(ConfigurationError) as caught:
        configure.from_file(write(tmp_path, text), {}, NOW_MS)
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize("text", ["a: [", "\t- x", "[" * 5000, "- 1", "!!python/object:os.system {}"])
def test_file_that_is_no_configuration_is_one_fault(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        configure.from_file(write(tmp_path, text), {}, NOW_MS)
    assert len(caught.value.faults) == 1


def test_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        configure.from_file(tmp_path / "nothing.yaml", {}, NOW_MS)
