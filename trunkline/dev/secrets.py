"""The secrets of a development stack: drawn once, kept in its data folder, readable by their owner only.

``python -m trunkline.dev.secrets FILE`` draws some for docker-compose.yml, as ``NAME=value`` lines.
"""

import base64
import os
import secrets
import sys
from pathlib import Path

import msgspec

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
    """

    admin_key: str
    key_pepper: str
    master_keys: str
    api_key: str
    postgres_password: str


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
    )


def load_or_draw(data_dir: Path) -> Secrets:
    """Return the secrets of a data folder; the first time they are drawn.

    Raises:
        SecretsError: see there.
    """
    path = data_dir / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Secrets)
    except FileNotFoundError:
        drawn = draw()
        write_private(path, msgspec.json.format(msgspec.json.encode(drawn)))
        return drawn
    except (msgspec.DecodeError, OSError) as error:
        raise SecretsError(f"{path} cannot be read; restore it, or remove the data folder to begin anew") from error


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
        "POSTGRES_PASSWORD": drawn.postgres_password,
        "TRUNKLINE_ADMIN_KEY": drawn.admin_key,
        "TRUNKLINE_API_KEY": drawn.api_key,
        "TRUNKLINE_KEY_PEPPER": drawn.key_pepper,
        "TRUNKLINE_MASTER_KEYS": drawn.master_keys,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def main(path: Path) -> None:
    """Write new secrets to a file that is not there yet: those that are in use must not be lost."""
    if path.exists():
        sys.stdout.write(f"{path} is there already; nothing was changed.\n")
        return
    write_private(path, environment_lines(draw()).encode())
    sys.stdout.write(f"{path} was written; keep it to yourself.\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
