"""The secrets of a development stack: drawn once, kept in its data folder, readable by their owner only.

``python -m trunkline.dev.secrets FILE`` draws some for docker-compose.yml, as ``NAME=value`` lines.
"""

import base64
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from trunkline.bus import permissions
from trunkline.policy import keys
from trunkline.policy.vault import KEY_BYTES

FILE = "secrets.json"


class Secrets(msgspec.Struct, frozen=True):
    """All of them.

    Attributes:
        admin_key: of the console.
        key_pepper: keys are hashed with it.
        master_keys: credentials are sealed with it.
        api_key: of the demo account.
        postgres_password: of the embedded Postgres.
        nats_passwords: of the users of NATS, by name.
    """

    admin_key: str
    key_pepper: str
    master_keys: str
    api_key: str
    postgres_password: str
    nats_passwords: dict[str, str] = {}


class SecretsError(Exception):
    """The file of an earlier run cannot be read; says what to do."""


def draw() -> Secrets:
    """Return new secrets."""
    return Secrets(
        admin_key=f"admin-{secrets.token_urlsafe(24)}",
        key_pepper=secrets.token_urlsafe(32),
        master_keys=f"1:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}",
        api_key=keys.mint(secrets.token_bytes(64)),
        postgres_password=secrets.token_urlsafe(24),
        nats_passwords=draw_nats_passwords(),
    )


def draw_nats_passwords() -> dict[str, str]:
    """Return a new password for each user of NATS, of a form that its configuration takes for text."""
    return {user: f"n{secrets.token_hex(24)}" for user in (*permissions.ROLES, permissions.OPERATOR)}


def nats_environment(passwords: Mapping[str, str]) -> dict[str, str]:
    """Return the passwords as variables of the NATS server's environment."""
    return {permissions.password_variable(user): password for user, password in passwords.items()}


def load_or_draw(data_dir: Path) -> Secrets:
    """Return the secrets of a data folder; the first time they are drawn.

    Raises:
        SecretsError: see there.
    """
    path = data_dir / FILE
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Secrets)
        if found.nats_passwords:
            return found
        # Of a folder that was made before NATS had users.
        return _keep(path, msgspec.structs.replace(found, nats_passwords=draw_nats_passwords()))
    except FileNotFoundError:
        return _keep(path, draw())
    except (msgspec.DecodeError, OSError) as error:
        raise SecretsError(f"{path} cannot be read; restore it, or remove the data folder to begin anew") from error


def _keep(path: Path, drawn: Secrets) -> Secrets:
    write_private(path, msgspec.json.format(msgspec.json.encode(drawn)))
    return drawn


def write_private(path: Path, content: bytes) -> None:
    """Write a file in one step, so that no reader sees half of it, with permissions for its owner only.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def environment_lines(drawn: Secrets) -> str:
    """Return the secrets under the names that docker-compose.yml uses."""
    values = {
        **nats_environment(drawn.nats_passwords),
        "GRAFANA_PASSWORD": secrets.token_urlsafe(24),
        "POSTGRES_PASSWORD": drawn.postgres_password,
        "POSTGRES_READER_PASSWORD": secrets.token_hex(24),
        "TRUNKLINE_ADMIN_KEY": drawn.admin_key,
        "TRUNKLINE_API_KEY": drawn.api_key,
        "TRUNKLINE_KEY_PEPPER": drawn.key_pepper,
        "TRUNKLINE_MASTER_KEYS": drawn.master_keys,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def main(path: Path) -> None:
    """Write new secrets to a file. Those that it has already are in use: they stay, and what is missing is added."""
    before = path.read_text() if path.exists() else ""
    there = {line.partition("=")[0] for line in before.splitlines()}
    drawn = environment_lines(draw()).splitlines(keepends=True)
    missing = [line for line in drawn if line.partition("=")[0] not in there]
    if not missing:
        sys.stdout.write(f"{path} is there already; nothing was changed.\n")
        return
    if before and not before.endswith("\n"):
        before += "\n"
    write_private(path, (before + "".join(missing)).encode())
    sys.stdout.write(f"{path} was written; keep it to yourself.\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
