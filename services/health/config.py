"""Settings of health, beside those that every service has."""

import dataclasses

from trunkline.policy import vault
from trunkline.runtime import config
from trunkline.runtime.upstream_guard import UpstreamSettings

OPS_PORT = 9104


def _masters_fault(text: str) -> str | None:
    try:
        vault.Vault(vault.parse_masters(text))
    except ValueError as error:
        return str(error)
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class HealthSettings(UpstreamSettings):
    """What an operator may set."""

    master_keys: str = config.setting(
        "TRUNKLINE_MASTER_KEYS",
        help="Master keys that upstream credentials are sealed with: VERSION:BASE64, separated by commas.",
        secret=True,
        check=_masters_fault,
    )
    probe_interval_s: float = config.setting(
        "TRUNKLINE_PROBE_INTERVAL_S",
        5.0,
        help="Seconds between two probes of a channel without an interval of its own; one in doubt has one second.",
        check=config.at_least(0.1),
    )
    probe_timeout_s: float = config.setting(
        "TRUNKLINE_PROBE_TIMEOUT_S",
        3.0,
        help="Seconds that one probe may take; one that asks a model may take 20 at the least.",
        check=config.at_least(0.1),
    )
