"""Names of metrics: those that queries use, those that processes declare, and those of exporters beside them."""

import functools
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/rules"
METRICS_PAGE = ROOT / "docs/operating/metrics.md"

SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
"""Names under which a metric of such a kind is read."""

OF_PROMETHEUS = frozenset({"ALERTS", "up"})

OF_THE_CLIENT = frozenset(
    {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    }
)
"""What prometheus-client tells of each process."""

# As their sources have them: prometheus-nats-exporter with -prefix=nats -varz -healthz -jsz=all, and postgres_exporter.
OF_EXPORTERS = frozenset(
    {
        "nats_consumer_num_ack_pending",
        "nats_consumer_num_pending",
        "nats_healthz_status",
        "nats_server_jetstream_disabled",
        "nats_server_max_storage",
        "nats_server_total_message_bytes",
        "nats_stream_total_bytes",
        "nats_varz_connections",
        "nats_varz_cpu",
        "nats_varz_in_bytes",
        "nats_varz_in_msgs",
        "nats_varz_mem",
        "nats_varz_out_bytes",
        "nats_varz_out_msgs",
        "nats_varz_routes",
        "nats_varz_slow_consumers",
        "pg_database_size_bytes",
        "pg_replication_is_replica",
        "pg_replication_lag_seconds",
        "pg_replication_slot_safe_wal_size_bytes",
        "pg_replication_slot_slot_is_active",
        "pg_settings_max_connections",
        "pg_stat_activity_count",
        "pg_stat_activity_max_tx_duration",
        "pg_stat_database_blks_hit",
        "pg_stat_database_blks_read",
        "pg_stat_database_deadlocks",
        "pg_stat_database_xact_commit",
        "pg_stat_database_xact_rollback",
        "pg_up",
    }
)

_TEXT = re.compile(r'"[^"]*"|\'[^\']*\'')
_BESIDE = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"(?<![\w.])[a-zA-Z_:][\w:]*(?!\w|\s*\()")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan"})
_COMPARED = re.compile(r"(==|!=|>=|<=|>|<)")


class Rule(NamedTuple):
    """One rule.

    Attributes:
        name: of the alert, or of what is recorded.
        expr: PromQL.
        alert: its other fields, of an alert.
    """

    name: str
    expr: str
    alert: dict[str, Any] | None


@functools.cache
def rules() -> tuple[Rule, ...]:
    """Return all rules."""
    groups = [group for path in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(path.read_text())["groups"]]
    return tuple(
        Rule(rule.get("alert") or rule["record"], rule["expr"], rule if "alert" in rule else None)
        for group in groups
        for rule in group["rules"]
    )


@functools.cache
def declared() -> dict[str, str]:
    """Return the kind of each metric that processes have, as the generated page lists them."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", METRICS_PAGE.read_text(), re.MULTILINE)
    return dict(rows)


@functools.cache
def readable() -> frozenset[str]:
    """Return every name that a query may use, exporters' excepted."""
    names = {rule.name for rule in rules() if rule.alert is None} | OF_PROMETHEUS | OF_THE_CLIENT
    for name, kind in declared().items():
        names.update(name + suffix for suffix in SUFFIXES.get(kind, ("",)))
    return frozenset(names)


def names_in(query: str) -> frozenset[str]:
    """Return the metrics that a query reads."""
    bare = _BESIDE.sub(" ", _TEXT.sub('""', query))
    return frozenset(name for name in _NAME.findall(bare) if name.lower() not in _WORDS)


def without_filters(query: str) -> str:
    """Return a query that has a value where a filter would leave none: of comparisons, 1 where they hold, else 0."""
    parts = re.split(r"(\{[^}]*\}|\"[^\"]*\")", query.partition(" unless ")[0])
    return "".join(part if index % 2 else _COMPARED.sub(r"\1 bool ", part) for index, part in enumerate(parts))
