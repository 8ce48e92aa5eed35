"""`make secrets`: what it draws, and that nothing in use is lost."""

import stat
from pathlib import Path

import pytest

from trunkline.bus.permissions import OPERATOR, ROLES, password_variable
from trunkline.dev import secrets


def variables(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def test_every_user_of_nats_gets_a_password_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    secrets.main(path)
    drawn = variables(path)
    passwords = [drawn[password_variable(user)] for user in (*ROLES, OPERATOR)]
    assert len(set(passwords)) == len(passwords)
    # NATS reads a variable as it reads its file: what begins with a digit may be a number to it.
    assert all(password.isalnum() and password[0].isalpha() and len(password) == 49 for password in passwords)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("end", ["\n", ""])
def test_what_is_there_stays_and_what_is_missing_is_added(tmp_path: Path, end: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"TRUNKLINE_ADMIN_KEY=mine\nPOSTGRES_PASSWORD=ours{end}")
    secrets.main(path)
    first = path.read_text()
    assert variables(path).items() >= {"TRUNKLINE_ADMIN_KEY": "mine", "POSTGRES_PASSWORD": "ours"}.items()
    assert "NATS_EDGE_PASSWORD" in variables(path)
    secrets.main(path)
    assert path.read_text() == first


def test_a_data_folder_of_before_nats_had_users_keeps_its_secrets(tmp_path: Path) -> None:
    drawn = secrets.draw()
    (tmp_path / secrets.FILE).write_text(
        '{"admin_key": "a", "key_pepper": "b", "master_keys": "c", "api_key": "d", "postgres_password": "e"}'
    )
    found = secrets.load_or_draw(tmp_path)
    assert (found.admin_key, found.postgres_password) == ("a", "e")
    assert found.nats_passwords.keys() == drawn.nats_passwords.keys()
    assert secrets.load_or_draw(tmp_path) == found
