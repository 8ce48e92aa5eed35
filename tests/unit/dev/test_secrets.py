"""The secrets of a development stack are drawn once and closed to others."""

import stat
from pathlib import Path

import pytest

from trunkline.dev import secrets
from trunkline.policy import keys, vault


def test_secrets_are_of_the_form_that_services_ask_for() -> None:
    drawn = secrets.draw()
    assert keys.well_formed(drawn.api_key)
    assert vault.parse_masters(drawn.master_keys).keys() == {1}
    assert len(drawn.key_pepper) >= 16
    assert drawn != secrets.draw()


def test_secrets_are_kept_and_private(tmp_path: Path) -> None:
    drawn = secrets.load_or_draw(tmp_path)
    assert secrets.load_or_draw(tmp_path) == drawn
    assert stat.S_IMODE((tmp_path / secrets.FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [secrets.FILE]


def test_damaged_file_is_told_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / secrets.FILE
    path.write_text("{")
    with pytest.raises(secrets.SecretsError, match="cannot be read"):
        secrets.load_or_draw(tmp_path)
    assert path.read_text() == "{"


def test_environment_file_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / ".env"
    secrets.main(path)
    first = path.read_text()
    secrets.main(path)
    assert path.read_text() == first
    assert "already" in capsys.readouterr().out
