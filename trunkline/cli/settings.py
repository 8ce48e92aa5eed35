"""Where the CLI finds the gateway. Each command reads only what it needs."""

import dataclasses
import ssl
from typing import Any

from trunkline.runtime.config import setting


def _check_ca(path: str) -> str | None:
    try:
        ssl.create_default_context(cafile=path or None)
    except OSError as error:
        return f"cannot be used: {error.strerror or 'no certificates in PEM'}"
    return None


def _console_ca() -> Any:
    return setting(
        "TRUNKLINE_CONSOLE_CA_PATH",
        "",
        help="Authorities (PEM) that the console's certificate must come from; empty: those that the system trusts.",
        check=_check_ca,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConsoleAccess:
    """For commands that talk to the admin API."""

    console_url: str = setting("TRUNKLINE_CONSOLE_URL", "http://127.0.0.1:8081", help="Address of the console.")
    console_ca_path: str = _console_ca()
    admin_key: str = setting("TRUNKLINE_ADMIN_KEY", help="Secret of the admin API.", secret=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EdgeAccess:
    """For `trunkline chat`."""

    base_url: str = setting("TRUNKLINE_BASE_URL", "http://127.0.0.1:8080", help="Address of the gateway.")
    api_key: str = setting("TRUNKLINE_API_KEY", help="An API key, as `trunkline keys create` prints it.", secret=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DoctorAccess:
    """For `trunkline doctor`, which says itself what is missing."""

    console_url: str = setting("TRUNKLINE_CONSOLE_URL", "http://127.0.0.1:8081", help="Address of the console.")
    console_ca_path: str = _console_ca()
    admin_key: str = setting("TRUNKLINE_ADMIN_KEY", "", help="Secret of the admin API.", secret=True)
    base_url: str = setting("TRUNKLINE_BASE_URL", "http://127.0.0.1:8080", help="Address of the gateway.")
    api_key: str = setting("TRUNKLINE_API_KEY", "", help="An API key.", secret=True)
    nats_url: str = setting(
        "NATS_URL", "", help="Where NATS is, to look at it directly, with a user who may do anything.", secret=True
    )
    database_url: str = setting("DATABASE_URL", "", help="Where Postgres is, to look at it directly.", secret=True)
    master_keys: str = setting(
        "TRUNKLINE_MASTER_KEYS", "", help="With DATABASE_URL: whether these keys open the credentials.", secret=True
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatabaseAccess:
    """For `trunkline migrate`."""

    database_url: str = setting(
        "DATABASE_URL", help="Where Postgres is: postgresql://user:password@host:port/database.", secret=True
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BusAccess:
    """For `trunkline backup`, `trunkline restore` and `trunkline mirror`."""

    nats_url: str = setting(
        "NATS_URL", help="Where NATS is, with a user who may do anything: nats://user:password@host:port.", secret=True
    )
