"""Settings of the dispatcher."""

import dataclasses

from trunkline.bus import subjects
from trunkline.core import limits
from trunkline.policy.fetching import USUAL_PORTS, check_networks, check_ports
from trunkline.policy.vault import check_masters
from trunkline.runtime.config import at_least, setting
from trunkline.runtime.tracing import TraceSettings
from trunkline.runtime.upstream_guard import UpstreamSettings
from trunkline.runtime.usage_outbox import SpoolSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class DispatcherSettings(SpoolSettings, UpstreamSettings, TraceSettings):
    """Settings of the dispatcher."""

    master_keys: str = setting(
        "TRUNKLINE_MASTER_KEYS",
        help="Keys that upstream credentials are sealed with: VERSION:BASE64 of 32 bytes, several separated by commas.",
        secret=True,
        check=check_masters,
    )
    lanes: tuple[str, ...] = setting(
        "TRUNKLINE_LANES", (subjects.DEFAULT_LANE,), help="Lanes whose jobs this dispatcher takes."
    )
    jobs_max: int = setting(
        "TRUNKLINE_DISPATCHER_JOBS_MAX",
        limits.JOBS_PER_DISPATCHER_MAX,
        help="Jobs in flight on this dispatcher; past it jobs go to another one.",
        check=at_least(1),
    )
    bodies_bytes_max: int = setting(
        "TRUNKLINE_DISPATCHER_BODIES_BYTES_MAX",
        limits.BODIES_BYTES_MAX,
        help="Request bodies in memory, in bytes over all jobs.",
        check=at_least(limits.OPEN_BODY_BYTES_MAX),
    )
    fetch_allow: tuple[str, ...] = setting(
        "TRUNKLINE_FETCH_ALLOW",
        (),
        help="Networks, such as 10.1.2.0/24, from which pictures that clients name by URL are fetched although they "
        "are not public: whatever answers a GET there can be reached by every client.",
        check=check_networks,
    )
    trace_upstream: bool = setting(
        "TRUNKLINE_TRACE_UPSTREAM",
        False,
        help="Whether providers get the traceparent of a traced call, in place of the client's: for models of one's "
        "own that are traced, too.",
    )
    fetch_ports: tuple[str, ...] = setting(
        "TRUNKLINE_FETCH_PORTS", USUAL_PORTS, help="Ports that such a URL may name.", check=check_ports
    )
