"""The configuration file as the CLI reads it: every refusal is one message that says where."""

from pathlib import Path

import pytest

from trunkline.cli.configure import read_file
from trunkline.cli.failure import CLIError
from trunkline.policy.configuration import Names
from trunkline.runtime.config import EXIT_USAGE


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: 1\nchannels: [", "is not valid YAML in line 2: "),
        (b"a: \x80", "is not valid YAML"),
        (b"\xff\xfe\xff", "is not valid YAML"),
        (b"a: !!python/object/apply:os.system [true]", "is not valid YAML in line 1: "),
        (b"channels: 3", "is wrong:"),
    ],
)
def test_a_file_that_cannot_be_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "trunkline.yaml"
    path.write_bytes(content)
    with pytest.raises(CLIError) as caught:
        read_file(path, Names())
    assert says in str(caught.value)
    assert caught.value.exit_code == EXIT_USAGE


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CLIError, match="No such file"):
        read_file(tmp_path / "none.yaml", Names())


def test_faults_are_handed_on(tmp_path: Path) -> None:
    path = tmp_path / "trunkline.yaml"
    path.write_text("tiers: [{name: t, rpm: 0}]\ngroups: [{}]\n")
    with pytest.raises(CLIError) as caught:
        read_file(path, Names())
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["groups[0].name", "tiers[0].rpm"]
