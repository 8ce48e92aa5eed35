"""Settings of the edge."""

import dataclasses

from trunkline.core import limits
from trunkline.policy.addresses import networks_fault
from trunkline.policy.admission import WAIT_S
from trunkline.runtime.config import at_least, setting
from trunkline.runtime.tls import TLSContext, pair_faults, server_tls
from trunkline.runtime.tracing import TraceSettings
from trunkline.runtime.usage_outbox import SpoolSettings

CERTIFICATE = "TRUNKLINE_EDGE_CERTIFICATE_PATH"
KEY = "TRUNKLINE_EDGE_KEY_PATH"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EdgeSettings(SpoolSettings, TraceSettings):
    """Settings of the edge."""

    host: str = setting("TRUNKLINE_EDGE_HOST", "0.0.0.0", help="Address of the public port.")  # noqa: S104 - public by purpose
    port: int = setting("TRUNKLINE_EDGE_PORT", 8080, help="Public port; 0 takes a free one.")
    certificate_path: str = setting(
        CERTIFICATE, "", help="Certificate (PEM) of the public port, with its chain; empty: plain HTTP."
    )
    key_path: str = setting(KEY, "", help="Its key (PEM, without a password).")
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
        "X-Forwarded-For, for allow_ips, bounds on wrong keys and logs.",
        check=networks_fault,
    )
    failed_keys_per_minute: int = setting(
        "TRUNKLINE_FAILED_KEYS_PER_MINUTE",
        60,
        help="Wrong keys that one address (of IPv6, one /64) may try each minute at this edge; past it keys that it "
        "does not know get 429 from there. Behind a proxy set TRUNKLINE_TRUSTED_PROXIES, too.",
        check=at_least(1),
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
    connections_max: int = setting(
        "TRUNKLINE_EDGE_CONNECTIONS_MAX",
        limits.CONNECTIONS_PER_EDGE_MAX,
        help="Client connections of this edge; past it idle ones are closed, and if there are none, new ones.",
        check=at_least(1),
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
    trace_ratio: float = setting(
        "TRUNKLINE_TRACE_RATIO",
        0.01,
        help="Share of the requests that are traced, 0 to 1, where a client does not decide.",
        check=lambda ratio: None if 0 <= ratio <= 1 else "must be from 0 to 1",
    )
    trace_trust: bool = setting(
        "TRUNKLINE_TRACE_TRUST",
        False,
        help="Whether a client's traceparent decides if its request is traced, and becomes its parent; without, it is "
        "a link. Only where all clients are one's own.",
    )
    keepalive_s: float = setting(
        "TRUNKLINE_KEEPALIVE_S",
        limits.KEEPALIVE_INTERVAL_S,
        help="Seconds between two looks for silent streams, which get a sign of life in their dialect.",
        check=at_least(0.1),
    )

    def faults(self) -> list[str]:
        """See `runtime.config.load`."""
        return [*super().faults(), *pair_faults(CERTIFICATE, self.certificate_path, KEY, self.key_path)]

    def public_tls(self) -> TLSContext | None:
        """See `runtime.process.ProcessSettings`."""
        return server_tls("edge", self.certificate_path, self.key_path)
