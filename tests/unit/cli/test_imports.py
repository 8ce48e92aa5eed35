"""`trunkline import`: YAML on standard output, remarks on standard error."""

from pathlib import Path

import pytest
import yaml

from trunkline.cli import imports
from trunkline.cli.failure import CLIError
from trunkline.policy.imports.new_api import Part
from trunkline.policy.keys import well_formed
from trunkline.runtime.config import EXIT_USAGE

EXPORT = """
{"channels": [{"type": 33, "models": "m", "name": "aws"}],
 "users": [{"id": 7, "username": "ada", "status": 1}],
 "tokens": [{"user_id": 7, "status": 1, "name": "ci", "expired_time": -1}]}
"""


def test_a_file_of_litellm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("model_list: [{model_name: gpt-4o, litellm_params: {model: openai/gpt-4o, rpm: 5}}]")
    imports.import_litellm(file)
    shown = capsys.readouterr()
    [channel] = yaml.safe_load(shown.out)["channels"]
    assert channel["credentials"] == [{"secret": "env:OPENAI_API_KEY", "rpm": 5}]
    assert "taken: model_list[0]: channel openai\n" in shown.err
    assert "to do: set the environment variable OPENAI_API_KEY where you apply the configuration\n" in shown.err


def test_an_export_of_new_api(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "export.json"
    file.write_text(EXPORT)
    imports.import_new_api(file, [Part.ACCOUNTS])
    [account] = yaml.safe_load(capsys.readouterr().out)["accounts"]
    assert well_formed(account["keys"][0]["secret"])
    imports.import_new_api(file)
    shown = capsys.readouterr()
    assert yaml.safe_load(shown.out) == {}
    assert "left out: channels[0]: AWS Bedrock: speaks none of our dialects\n" in shown.err


def test_what_cannot_be_read_or_imported_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CLIError, match="No such file"):
        imports.import_litellm(tmp_path / "none.yaml")
    file = tmp_path / "export.json"
    file.write_text("{")
    with pytest.raises(CLIError, match="cannot be imported") as caught:
        imports.import_new_api(file)
    assert (caught.value.faults, caught.value.exit_code) == (("is not valid JSON",), EXIT_USAGE)
