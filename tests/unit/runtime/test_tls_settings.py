"""Settings that name certificates: what is wrong with the files is a fault of the settings, and all come at once."""

from pathlib import Path

import pytest

from services.console.config import ConsoleSettings
from services.edge.config import EdgeSettings
from services.metering.config import MeteringSettings
from tests.support.authority import Authority
from trunkline.cli.settings import ConsoleAccess
from trunkline.runtime import config
from trunkline.runtime.config import SettingsError

EDGE = {"TRUNKLINE_KEY_PEPPER": "x" * 16}
TOGETHER = "a certificate and its key go together"
MISSING = "/nowhere/at/all.pem"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_without_any_there_is_no_tls() -> None:
    settings = config.load(EdgeSettings, EDGE)
    assert (settings.nats_tls(), settings.ops_tls(), settings.public_tls()) == (None, None, None)
    assert config.load(MeteringSettings, {"DATABASE_URL": "postgresql://x"}).public_tls() is None


def test_each_use_has_its_own(authority: Authority) -> None:
    environment = dict(EDGE)
    for name in ("nats", "ops", "edge"):
        issued = authority.issue(name)
        environment[f"TRUNKLINE_{name.upper()}_CERTIFICATE_PATH"] = str(issued.certificate)
        environment[f"TRUNKLINE_{name.upper()}_KEY_PATH"] = str(issued.key)
    settings = config.load(EdgeSettings, environment)
    made = [settings.nats_tls(), settings.ops_tls(), settings.public_tls()]
    assert [tls.use for tls in made if tls is not None] == ["nats", "ops", "edge"]


def test_all_faults_come_together(authority: Authority) -> None:
    issued, other = authority.issue("one"), authority.issue("other")
    environment = {
        **EDGE,
        "TRUNKLINE_NATS_CA_PATH": MISSING,
        "TRUNKLINE_NATS_KEY_PATH": str(issued.key),
        "TRUNKLINE_OPS_CERTIFICATE_PATH": str(issued.certificate),
        "TRUNKLINE_OPS_KEY_PATH": str(other.key),
        "TRUNKLINE_EDGE_CERTIFICATE_PATH": MISSING,
        "TRUNKLINE_EDGE_KEY_PATH": str(issued.key),
    }
    with pytest.raises(SettingsError) as raised:
        config.load(EdgeSettings, environment)
    assert raised.value.faults == [
        "TRUNKLINE_NATS_CA_PATH cannot be used: No such file or directory",
        f"TRUNKLINE_NATS_CERTIFICATE_PATH is not set, but TRUNKLINE_NATS_KEY_PATH is: {TOGETHER}",
        "TRUNKLINE_OPS_CERTIFICATE_PATH and TRUNKLINE_OPS_KEY_PATH cannot be used: key values mismatch",
        "TRUNKLINE_EDGE_CERTIFICATE_PATH and TRUNKLINE_EDGE_KEY_PATH cannot be used: No such file or directory",
    ]


def test_the_console_has_its_own(authority: Authority) -> None:
    issued = authority.issue("console")
    environment = {
        "DATABASE_URL": "postgresql://x",
        "TRUNKLINE_ADMIN_KEY": "x" * 16,
        "TRUNKLINE_KEY_PEPPER": "x" * 16,
        "TRUNKLINE_MASTER_KEYS": "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "TRUNKLINE_CONSOLE_CERTIFICATE_PATH": str(issued.certificate),
    }
    with pytest.raises(SettingsError, match="TRUNKLINE_CONSOLE_KEY_PATH is not set"):
        config.load(ConsoleSettings, environment)
    tls = config.load(ConsoleSettings, environment | {"TRUNKLINE_CONSOLE_KEY_PATH": str(issued.key)}).public_tls()
    assert tls is not None
    assert (tls.use, tls.expires_s) == ("console", issued.expires_s)


def test_commands_name_the_authority_of_the_console(authority: Authority, tmp_path: Path) -> None:
    environment = {"TRUNKLINE_ADMIN_KEY": "x", "TRUNKLINE_CONSOLE_CA_PATH": str(authority.path)}
    assert config.load(ConsoleAccess, environment).console_ca_path == str(authority.path)
    (tmp_path / "empty.pem").touch()
    for path in (MISSING, str(tmp_path / "empty.pem")):
        with pytest.raises(SettingsError, match="TRUNKLINE_CONSOLE_CA_PATH cannot be used: "):
            config.load(ConsoleAccess, environment | {"TRUNKLINE_CONSOLE_CA_PATH": path})


def test_nats_urls_are_looked_at_and_not_shown() -> None:
    with pytest.raises(SettingsError) as raised:
        config.load(EdgeSettings, EDGE | {"NATS_URL": "nats://edge:secret@a:4222,http://edge:secret@b"})
    assert raised.value.faults == [
        "NATS_URL must be nats://USER:PASSWORD@HOST:PORT, or several of them separated by commas"
    ]
