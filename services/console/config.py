"""Settings of the console."""

import dataclasses

from trunkline.policy.vault import check_masters
from trunkline.runtime.config import setting
from trunkline.runtime.process import ProcessSettings

SECRET_CHARS_MIN = 16


def _long_enough(secret: str) -> str | None:
    return None if len(secret) >= SECRET_CHARS_MIN else f"must have {SECRET_CHARS_MIN} characters or more"


def _header_text(secret: str) -> str | None:
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        return "must be printable ASCII without spaces"
    return _long_enough(secret)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConsoleSettings(ProcessSettings):
    """Settings of the console."""

    host: str = setting(
        "TRUNKLINE_CONSOLE_HOST",
        "127.0.0.1",
        help="Address of the admin API; open it to others only behind TLS.",
    )
    port: int = setting("TRUNKLINE_CONSOLE_PORT", 8081, help="Port of the admin API; 0 takes a free one.")
    database_url: str = setting(
        "DATABASE_URL", help="Where Postgres is: postgresql://user:password@host:port/database.", secret=True
    )
    admin_key: str = setting(
        "TRUNKLINE_ADMIN_KEY",
        help="Secret of the admin API, sent as Authorization: Bearer; 16 characters or more.",
        secret=True,
        check=_header_text,
    )
    key_pepper: str = setting(
        "TRUNKLINE_KEY_PEPPER",
        help="Secret that keys are hashed with; the same on every edge and console, 16 characters or more.",
        secret=True,
        check=_long_enough,
    )
    master_keys: str = setting(
        "TRUNKLINE_MASTER_KEYS",
        help="Keys that upstream credentials are sealed with: VERSION:BASE64 of 32 bytes, several separated by commas.",
        secret=True,
        check=check_masters,
    )
