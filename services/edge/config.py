"""Settings of the edge."""

import dataclasses

from trunkline.core import limits
from trunkline.policy.addresses import networks_fault
from trunkline.policy.admission import WAIT_S
from trunkline.runtime.config import at_least, setting
from trunkline.runtime.usage_outbox import SpoolSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class EdgeSettings(SpoolSettings):
    """Settings of the edge."""

    host: str = setting("TRUNKLINE_EDGE_HOST", "0.0.0.0", help="Address of the public port.")  # noqa: S104 - public by purpose
    port: int = setting("TRUNKLINE_EDGE_PORT", 8080, help="Public port; 0 takes a free one.")
    key_pepper: str = setting(
        "TRUNKLINE_KEY_PEPPER",
        help="Secret that keys are hashed with; the same on every edge and console, 16 characters or more.",
        secret=True,
        check=lambda pepper: None if len(pepper) >= 16 else "must have 16 characters or more",
    )
    trusted_proxies: tuple[str, ...] = setting(
        "TRUNKLINE_TRUSTED_PROXIES",
        (),
        help="Addresses or CIDR ranges of proxies in front of this edge: from them the client's address is taken from "
        "X-Forwarded-For, for allow_ips and logs.",
        check=networks_fault,
    )
    body_bytes_max: int = setting(
        "TRUNKLINE_BODY_BYTES_MAX",
        limits.BODY_BYTES_MAX,
        help="Largest request body, in bytes.",
        check=at_least(1024),
    )
    bodies_bytes_max: int = setting(
        "TRUNKLINE_BODIES_BYTES_MAX",
        limits.BODIES_BYTES_MAX,
        help="Request bodies in memory, in bytes over all requests; past it clients get 503.",
        check=at_least(1024),
    )
    request_read_timeout_s: float = setting(
        "TRUNKLINE_REQUEST_READ_TIMEOUT_S",
        limits.REQUEST_READ_TIMEOUT_S,
        help="Seconds a client may take to send one request.",
        check=at_least(0.1),
    )
    jobs_max: int = setting(
        "TRUNKLINE_EDGE_JOBS_MAX",
        limits.JOBS_PER_EDGE_MAX,
        help="Jobs in flight on this edge; past it clients get 503.",
        check=at_least(1),
    )
    job_deadline_s: float = setting(
        "TRUNKLINE_JOB_DEADLINE_S",
        limits.TOTAL_TIMEOUT_S,
        help="Seconds one job may take, over all attempts.",
        check=at_least(1),
    )
    admission_wait_s: float = setting(
        "TRUNKLINE_ADMISSION_WAIT_S",
        WAIT_S,
        help="Seconds a job may wait for its turn while all dispatchers are full; then its client gets 429.",
        check=at_least(0),
    )
    allowance_grace_s: float = setting(
        "TRUNKLINE_ALLOWANCE_GRACE_S",
        3600.0,
        help="Seconds that an edge goes on serving on its last word from metering while metering is away.",
        check=at_least(0),
    )
    allowance_grace_usd: float = setting(
        "TRUNKLINE_ALLOWANCE_GRACE_USD",
        10.0,
        help="USD that each account may spend at this edge beyond what was granted, while metering is away.",
        check=at_least(0),
    )
    keepalive_s: float = setting(
        "TRUNKLINE_KEEPALIVE_S",
        limits.KEEPALIVE_INTERVAL_S,
        help="Seconds between two looks for silent streams, which get a sign of life in their dialect.",
        check=at_least(0.1),
    )
