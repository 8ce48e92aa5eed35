"""NATS and Postgres, by the metrics of their usual exporters.

Names are those of prometheus-nats-exporter, run with ``-prefix=nats -varz -healthz -jsz=all``, and of
postgres_exporter.
"""

from deploy.grafana.builder import Board, Panel, Row, Stack, Stat, Thresholds, Unit

NOW = Row(
    "Now",
    (
        Stat(
            title="NATS servers well",
            description="Servers that call themselves healthy; three are usual.",
            unit=Unit.COUNT,
            queries={"well": "count(nats_healthz_status == 0) or vector(0)"},
            thresholds=Thresholds(3, 2),
        ),
        Stat(
            title="JetStream's disk",
            description="Part of its storage that the fullest server has used.",
            unit=Unit.SHARE,
            queries={
                "used": "max(max by (server_name) (nats_server_total_message_bytes)"
                " / max by (server_name) (nats_server_max_storage > 0))"
            },
            thresholds=Thresholds(0.6, 0.8),
        ),
        Stat(
            title="NATS connections",
            description="Clients of all servers: each process of Trunkline is one.",
            unit=Unit.COUNT,
            queries={"connections": "sum(nats_varz_connections)"},
        ),
        Stat(
            title="Postgres",
            description="Servers that answer.",
            unit=Unit.COUNT,
            queries={"up": "sum(pg_up)"},
            thresholds=Thresholds(2, 1),
        ),
        Stat(
            title="Postgres connections",
            description="Part of the connections that it allows.",
            unit=Unit.SHARE,
            queries={
                "used": "max(sum by (instance) (pg_stat_activity_count)"
                " / max by (instance) (pg_settings_max_connections))"
            },
            thresholds=Thresholds(0.6, 0.8),
        ),
        Stat(
            title="Replica behind",
            description="By how much the replica that is furthest behind lacks; without traffic it grows all the same.",
            unit=Unit.SECONDS,
            queries={"lag": "max(pg_replication_lag_seconds)"},
            thresholds=Thresholds(10, 60),
        ),
    ),
)

NATS = Row(
    "NATS",
    (
        Panel(
            title="Messages",
            description="Into the servers and out of them.",
            unit=Unit.PER_SECOND,
            queries={
                "in": "sum(rate(nats_varz_in_msgs[$__rate_interval]))",
                "out": "sum(rate(nats_varz_out_msgs[$__rate_interval]))",
            },
        ),
        Panel(
            title="Bytes",
            description="Into the servers and out of them.",
            unit=Unit.BYTES_PER_SECOND,
            queries={
                "in": "sum(rate(nats_varz_in_bytes[$__rate_interval]))",
                "out": "sum(rate(nats_varz_out_bytes[$__rate_interval]))",
            },
        ),
        Panel(
            title="CPU",
            description="Cores used by each server.",
            unit=Unit.COUNT,
            queries={"{{server_id}}": "nats_varz_cpu / 100"},
        ),
        Panel(
            title="Memory",
            description="Resident memory of each server.",
            unit=Unit.BYTES,
            queries={"{{server_id}}": "nats_varz_mem"},
        ),
        Panel(
            title="Slow consumers",
            description="Clients that were cut off because they did not read; none should be.",
            unit=Unit.COUNT,
            queries={"{{server_id}}": "increase(nats_varz_slow_consumers[$__rate_interval])"},
            thresholds=Thresholds(1, 10),
        ),
        Panel(
            title="Connections and routes",
            description="Clients and routes to other servers, by server.",
            unit=Unit.COUNT,
            queries={
                "connections {{server_id}}": "nats_varz_connections",
                "routes {{server_id}}": "nats_varz_routes",
            },
        ),
        Panel(
            title="Left by processes",
            description="Times that processes have left a server that was about to stop, or had lost the others.",
            unit=Unit.COUNT,
            queries={"{{job}}": "sum by (job) (increase(trunkline_bus_moves_total[$__rate_interval]))"},
        ),
        Stack(
            title="Streams",
            description="What each stream holds on disk.",
            unit=Unit.BYTES,
            queries={"{{stream_name}}": "max by (stream_name) (nats_stream_total_bytes)"},
        ),
        Panel(
            title="To be settled",
            description="Messages of usage that metering has not got yet, and those it has and is settling.",
            unit=Unit.COUNT,
            queries={
                "pending": 'max(nats_consumer_num_pending{stream_name="USAGE", consumer_name="metering"})',
                "in hand": 'max(nats_consumer_num_ack_pending{stream_name="USAGE", consumer_name="metering"})',
            },
            thresholds=Thresholds(10000, 100000),
        ),
    ),
)

POSTGRES = Row(
    "Postgres",
    (
        Panel(
            title="Transactions",
            description="Committed and rolled back.",
            unit=Unit.PER_SECOND,
            queries={
                "committed {{datname}}": "sum by (datname) (rate(pg_stat_database_xact_commit[$__rate_interval]))",
                "rolled back {{datname}}": "sum by (datname) (rate(pg_stat_database_xact_rollback[$__rate_interval]))",
            },
        ),
        Stack(
            title="Connections",
            description="By state; those that are idle in a transaction hold up others.",
            unit=Unit.COUNT,
            queries={"{{state}}": "sum by (state) (pg_stat_activity_count)"},
        ),
        Panel(
            title="Longest transaction",
            description="Age of the oldest transaction; settlements take well under a second.",
            unit=Unit.SECONDS,
            queries={"{{datname}}": "max by (datname) (pg_stat_activity_max_tx_duration)"},
            thresholds=Thresholds(60, 600),
        ),
        Panel(
            title="Found in memory",
            description="Part of the blocks that need not be read from disk.",
            unit=Unit.SHARE,
            queries={
                "{{datname}}": "sum by (datname) (rate(pg_stat_database_blks_hit[$__rate_interval]))"
                " / (sum by (datname) (rate(pg_stat_database_blks_hit[$__rate_interval]))"
                " + sum by (datname) (rate(pg_stat_database_blks_read[$__rate_interval])))"
            },
            thresholds=Thresholds(0.95, 0.8),
        ),
        Panel(
            title="Deadlocks",
            description="Transactions that ended each other; those of Trunkline are tried again.",
            unit=Unit.COUNT,
            queries={"{{datname}}": "sum by (datname) (increase(pg_stat_database_deadlocks[1h]))"},
            thresholds=Thresholds(1, 10),
        ),
        Panel(
            title="Size",
            description="Of each database.",
            unit=Unit.BYTES,
            queries={"{{datname}}": "max by (datname) (pg_database_size_bytes)"},
        ),
        Panel(
            title="Clock set",
            description="Times within an hour that Postgres's clock was seen to be set by a second or more, by the "
            "replica of metering that saw the most; there should be none.",
            unit=Unit.COUNT,
            queries={
                "{{direction}}": "max by (direction) (increase(trunkline_metering_postgres_clock_leaps_total[1h]))"
            },
            thresholds=Thresholds(1, 10),
        ),
    ),
)

BOARD = Board(
    "dependencies",
    "Trunkline: NATS and Postgres",
    "NATS and Postgres, by the metrics of their usual exporters.",
    (NOW, NATS, POSTGRES),
)
