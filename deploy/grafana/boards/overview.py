"""The whole site at a glance: what was promised, traffic, whose fault failures are, time to the first byte, money."""

from deploy.grafana.boards.parts import per_second
from deploy.grafana.builder import Board, Panel, Row, Stack, Stat, Thresholds, Unit

PROMISES = Row(
    "What was promised",
    (
        Stat(
            title="Alerts",
            description="Alerts of Trunkline that fire now.",
            unit=Unit.COUNT,
            queries={
                "firing": 'count(ALERTS{alertstate="firing", alertname=~"Trunkline.*", alertname!="TrunklineWatchdog"})'
                " or vector(0)"
            },
            thresholds=Thresholds(1, 3),
        ),
        Stat(
            title="Answered, one day",
            description="Requests for models that did not fail by the fault of the gateway or of providers; 99.9 % is "
            "promised.",
            unit=Unit.SHARE,
            queries={"answered": "1 - cluster:trunkline_edge_requests_failed:ratio_rate1d"},
            thresholds=Thresholds(0.9995, 0.999),
        ),
        Stat(
            title="Burn rate, one hour",
            description="How many times as fast as allowed failures come: at 1 a month's errors last a month, at 14.4 "
            "two days.",
            unit=Unit.COUNT,
            queries={"burn rate": "cluster:trunkline_edge_requests_failed:ratio_rate1h / 0.001"},
            thresholds=Thresholds(1, 14.4),
        ),
        Stat(
            title="Errors left, 30 days",
            description="What is left of the errors that 30 days allow, as far back as Prometheus remembers. Hours "
            "count the same, whatever their traffic.",
            unit=Unit.SHARE,
            queries={"left": "1 - avg_over_time(cluster:trunkline_edge_requests_failed:ratio_rate1h[30d]) / 0.001"},
            thresholds=Thresholds(0.5, 0.1),
        ),
        Stat(
            title="Begun in time, one day",
            description="Streams whose first byte came within ten seconds; 99 % is promised.",
            unit=Unit.SHARE,
            queries={"in time": "1 - cluster:trunkline_edge_first_byte_late:ratio_rate1d"},
            thresholds=Thresholds(0.995, 0.99),
        ),
        Stat(
            title="Overhead",
            description="What the gateway itself adds until an answer begins, on average of five minutes; about a "
            "millisecond is usual.",
            unit=Unit.SECONDS,
            queries={"overhead": "cluster:trunkline_edge_overhead_seconds:mean5m"},
            thresholds=Thresholds(0.01, 0.05),
        ),
    ),
)

TRAFFIC = Row(
    "Traffic",
    (
        Stack(
            title="Requests by whose fault",
            description="Finished requests: answered, or failed by the fault of clients, of policy (limits, credit), "
            "of providers or of the gateway.",
            unit=Unit.PER_SECOND,
            queries={"{{fault}}": "fault:trunkline_edge_requests:rate5m"},
        ),
        Panel(
            title="Failures",
            description="The ten most frequent errors; the first word says whose fault it is.",
            unit=Unit.PER_SECOND,
            queries={
                "{{outcome}}": "topk(10, sum by (outcome) "
                '(rate(trunkline_edge_requests_total{outcome!="ok"}[$__rate_interval])))'
            },
        ),
        Stack(
            title="Requests by endpoint",
            description="Finished requests by what they asked for.",
            unit=Unit.PER_SECOND,
            queries={"{{route}}": "route:trunkline_edge_requests:rate5m"},
        ),
        Panel(
            title="First byte of streams",
            description="From the whole request to the first byte; 99 % should be within ten seconds.",
            unit=Unit.SECONDS,
            queries={
                "p50": "cluster:trunkline_edge_first_byte_seconds:p50_5m",
                "p99": "cluster:trunkline_edge_first_byte_seconds:p99_5m",
            },
            thresholds=Thresholds(5, 10),
        ),
        Stack(
            title="In flight",
            description="Jobs under way, and those that wait because all dispatchers are full, which should be none.",
            unit=Unit.COUNT,
            queries={
                "under way": "sum(trunkline_edge_jobs) - sum(trunkline_edge_waiting)",
                "waiting": "sum(trunkline_edge_waiting)",
            },
        ),
        Panel(
            title="Burn rates",
            description="How many times as fast as allowed requests fail and streams begin late, in the last hour.",
            unit=Unit.COUNT,
            queries={
                "failed": "cluster:trunkline_edge_requests_failed:ratio_rate1h / 0.001",
                "begun late": "cluster:trunkline_edge_first_byte_late:ratio_rate1h / 0.01",
            },
            thresholds=Thresholds(1, 14.4),
        ),
    ),
)

MONEY = Row(
    "Money",
    (
        Panel(
            title="Charged and owed, an hour",
            description="What clients are charged and what providers get, as it is booked now, in an hour.",
            unit=Unit.USD,
            queries={
                "charged": "sum(rate(trunkline_metering_charge_usd_total[$__rate_interval])) * 3600",
                "owed": "sum(rate(trunkline_metering_cost_usd_total[$__rate_interval])) * 3600",
            },
        ),
        Stack(
            title="Tokens",
            description="Tokens in and out over all channels, failed attempts included.",
            unit=Unit.PER_SECOND,
            queries={"{{direction}}": per_second("trunkline_dispatcher_tokens_total", by="direction")},
        ),
        Panel(
            title="Usage to settle",
            description="How long usage waits for the ledger; seconds are usual.",
            unit=Unit.SECONDS,
            queries={"oldest": "max(max_over_time(trunkline_metering_queue_age_seconds[5m]))"},
            thresholds=Thresholds(120, 1200),
        ),
    ),
)

PROCESSES = Row(
    "Processes",
    (
        Panel(
            title="Ready",
            description="Processes that can work, by role.",
            unit=Unit.COUNT,
            queries={"{{job}}": "sum by (job) (trunkline_ready)"},
        ),
        Panel(
            title="CPU",
            description="Cores used, by role; one process uses one at most.",
            unit=Unit.COUNT,
            queries={
                "{{job}}": "sum by (job) (rate(process_cpu_seconds_total"
                '{job=~"edge|dispatcher|metering|health|console"}[$__rate_interval]))'
            },
        ),
        Panel(
            title="Memory",
            description="Resident memory, by role.",
            unit=Unit.BYTES,
            queries={
                "{{job}}": "sum by (job) "
                '(process_resident_memory_bytes{job=~"edge|dispatcher|metering|health|console"})'
            },
        ),
        Panel(
            title="Certificates",
            description="Time that is left of each certificate, as far as TLS is on.",
            unit=Unit.SECONDS,
            queries={"{{job}} {{use}}": "min by (job, use) (trunkline_certificate_expires_timestamp_seconds) - time()"},
            thresholds=Thresholds(1209600, 172800),
        ),
    ),
)

BOARD = Board(
    "overview",
    "Trunkline: overview",
    "What was promised, traffic, whose fault failures are, time to the first byte, money.",
    (PROMISES, TRAFFIC, MONEY, PROCESSES),
)
