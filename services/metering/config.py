"""Settings of metering."""

import dataclasses

from trunkline.runtime.config import at_least, setting
from trunkline.runtime.tracing import TraceSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeteringSettings(TraceSettings):
    """Settings of metering."""

    database_url: str = setting(
        "DATABASE_URL",
        help="Where Postgres is: postgresql://user:password@host:port/database.",
        secret=True,
        check=lambda url: (
            None if url.startswith(("postgresql://", "postgres://")) else "must begin with postgresql:// or postgres://"
        ),
    )
    messages_max: int = setting(
        "TRUNKLINE_METERING_MESSAGES_MAX",
        32,
        help="Usage messages settled in one transaction; each holds up to 256 events.",
        check=at_least(1),
    )
    usage_days: int = setting(
        "TRUNKLINE_USAGE_DAYS",
        90,
        help="Days that the metadata of requests is kept; sums by day and ledger entries stay.",
        check=at_least(1),
    )
