"""Where the CLI finds the gateway. Each command reads only what it needs."""

import dataclasses

from trunkline.runtime.config import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConsoleAccess:
    """For commands that talk to the admin API."""

    console_url: str = setting("TRUNKLINE_CONSOLE_URL", "http://127.0.0.1:8081", help="Address of the console.")
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
    admin_key: str = setting("TRUNKLINE_ADMIN_KEY", "", help="Secret of the admin API.", secret=True)
    base_url: str = setting("TRUNKLINE_BASE_URL", "http://127.0.0.1:8080", help="Address of the gateway.")
    api_key: str = setting("TRUNKLINE_API_KEY", "", help="An API key.", secret=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatabaseAccess:
    """For `trunkline migrate`."""

    database_url: str = setting(
        "DATABASE_URL", help="Where Postgres is: postgresql://user:password@host:port/database.", secret=True
    )
