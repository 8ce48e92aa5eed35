"""Money and metering: charge and cost, settlement and how far it is behind, allowances, the ledger, the console."""

from deploy.grafana.boards.parts import instances, per_second, process_row, quantile
from deploy.grafana.builder import Board, Panel, Row, Stack, Stat, Thresholds, Unit

METERING = 'job="metering", instance=~"$instance"'

NOW = Row(
    "Now",
    (
        Stat(
            title="Charged, one day",
            description="What clients were charged, as booked.",
            unit=Unit.USD,
            queries={"charged": "sum(increase(trunkline_metering_charge_usd_total[1d]))"},
        ),
        Stat(
            title="Owed, one day",
            description="What providers get, as booked.",
            unit=Unit.USD,
            queries={"owed": "sum(increase(trunkline_metering_cost_usd_total[1d]))"},
        ),
        Stat(
            title="Margin, one day",
            description="Charged less owed, as part of what was charged; below zero work is done at a loss.",
            unit=Unit.SHARE,
            queries={
                "margin": "1 - sum(increase(trunkline_metering_cost_usd_total[1d]))"
                " / (sum(increase(trunkline_metering_charge_usd_total[1d])) > 0)"
            },
            thresholds=Thresholds(0.05, 0),
        ),
        Stat(
            title="Books",
            description="What did not agree when the ledger was last looked at; nothing should.",
            unit=Unit.COUNT,
            queries={"findings": "max(trunkline_metering_ledger_mismatches)"},
            thresholds=Thresholds(1, 1),
        ),
        Stat(
            title="Oldest usage",
            description="How long the oldest usage that is not in the ledger has waited at least; seconds are usual.",
            unit=Unit.SECONDS,
            queries={"age": "max(max_over_time(trunkline_metering_queue_age_seconds[5m]))"},
            thresholds=Thresholds(120, 1200),
        ),
        Stat(
            title="Changes to project",
            description="Changes of the configuration that edges and dispatchers have not got yet.",
            unit=Unit.COUNT,
            queries={"entries": "max(trunkline_console_outbox_entries)"},
            thresholds=Thresholds(1000, 100000),
        ),
    ),
)

SETTLEMENT = Row(
    "Settlement",
    (
        Panel(
            title="Booked, an hour",
            description="Charge and cost as they are booked now, in an hour.",
            unit=Unit.USD,
            queries={
                "charged": "sum(rate(trunkline_metering_charge_usd_total[$__rate_interval])) * 3600",
                "owed": "sum(rate(trunkline_metering_cost_usd_total[$__rate_interval])) * 3600",
            },
        ),
        Stack(
            title="Events",
            description="Usage events: settled, known already, or set aside because of their content.",
            unit=Unit.PER_SECOND,
            queries={"{{result}}": per_second("trunkline_metering_events_total", METERING, "result")},
        ),
        Panel(
            title="Queue",
            description="Usage messages in the stream that are not settled yet.",
            unit=Unit.COUNT,
            queries={"messages": "max(trunkline_metering_queue_messages)"},
            thresholds=Thresholds(10000, 100000),
        ),
        Panel(
            title="One settlement",
            description="Time of a transaction, and events in it: few and quick, or many at once.",
            unit=Unit.SECONDS,
            queries={
                f"p{percent}": quantile(percent, "trunkline_metering_settle_seconds", METERING) for percent in (50, 99)
            },
            thresholds=Thresholds(1, 5),
        ),
        Panel(
            title="Events in a settlement",
            description="Events in a transaction, on average: more under load, which is what makes it cheap.",
            unit=Unit.COUNT,
            queries={
                "events": per_second("trunkline_metering_events_total", METERING)
                + " / "
                + per_second("trunkline_metering_batches_total", METERING)
            },
        ),
        Panel(
            title="For a person to look at",
            description="Within an hour: attempts without a price, messages that were no usage, jobs of unknown use.",
            unit=Unit.COUNT,
            queries={
                "without a price": "sum(increase(trunkline_metering_unpriced_total[1h]))",
                "no usage": "sum(increase(trunkline_metering_messages_refused_total[1h]))",
                "use not known": 'sum(increase(trunkline_edge_jobs_settled_total{result="lost"}[1h]))',
                "torn on disk, bytes": "sum(increase(trunkline_dispatcher_usage_torn_bytes_total[1h]))"
                " + sum(increase(trunkline_edge_usage_torn_bytes_total[1h]))",
            },
            thresholds=Thresholds(1, 100),
        ),
        Panel(
            title="By the last checkpoint",
            description="Attempts of lost dispatchers, those that exact usage put right later, jobs whose clients got "
            "nothing, and attempts past their time of which only sums are kept.",
            unit=Unit.COUNT,
            queries={
                "checkpoints": f"sum(increase(trunkline_metering_orphans_total{{{METERING}}}[1h]))",
                "exact later": f"sum(increase(trunkline_metering_orphans_corrected_total{{{METERING}}}[1h]))",
                "void": "sum(increase(trunkline_edge_jobs_void_total[1h]))",
                "only sums": f"sum(increase(trunkline_metering_usage_forgotten_total{{{METERING}}}[1h]))",
            },
        ),
        Panel(
            title="Postgres",
            description="Uses that failed and are tried again, by what for; none should be.",
            unit=Unit.PER_SECOND,
            queries={"{{use}}": per_second("trunkline_metering_postgres_failures_total", METERING, "use")},
            thresholds=Thresholds(0.01, 1),
        ),
        Panel(
            title="Ledger looked at",
            description="Time since the ledger was looked at last; a minute is usual.",
            unit=Unit.SECONDS,
            queries={"ago": "time() - max(trunkline_metering_ledger_looked_at_timestamp_seconds)"},
            thresholds=Thresholds(300, 900),
        ),
    ),
)

ALLOWANCES = Row(
    "Allowances and questions",
    (
        Panel(
            title="Draws",
            description="Draws of allowances by result, and those decided again because another replica was quicker.",
            unit=Unit.PER_SECOND,
            queries={
                "{{result}}": per_second("trunkline_metering_allowance_draws_total", METERING, "result"),
                "decided again": per_second("trunkline_metering_draw_conflicts_total", METERING),
            },
        ),
        Panel(
            title="Leases ended",
            description="By why: closed by their edges, or lost with them.",
            unit=Unit.PER_SECOND,
            queries={"{{why}}": per_second("trunkline_metering_leases_dropped_total", METERING, "why")},
        ),
        Panel(
            title="Questions about keys",
            description="What clients ask about their own limits and use, by what came of it.",
            unit=Unit.PER_SECOND,
            queries={"{{result}}": per_second("trunkline_metering_inquiries_total", METERING, "result")},
        ),
    ),
)

CONSOLE = Row(
    "Console",
    (
        Panel(
            title="Projection",
            description="How long the oldest change of the configuration has waited; a second is usual.",
            unit=Unit.SECONDS,
            queries={"oldest": "max(trunkline_console_outbox_age_seconds)"},
            thresholds=Thresholds(5, 30),
        ),
        Panel(
            title="Projected",
            description="Entries written to the buckets, and how often it had to stop, by what was away.",
            unit=Unit.PER_SECOND,
            queries={
                "{{bucket}}": per_second("trunkline_console_projected_total", by="bucket"),
                "stopped by {{dependency}}": per_second("trunkline_console_projection_failures_total", by="dependency"),
            },
        ),
        Panel(
            title="Replicas that project",
            description="One should.",
            unit=Unit.COUNT,
            queries={"project": "sum(trunkline_console_projecting)"},
            thresholds=Thresholds(1, 0),
        ),
        Panel(
            title="Requests",
            description="To the console, by status.",
            unit=Unit.PER_SECOND,
            queries={"{{status}}": per_second("trunkline_console_requests_total", by="status")},
        ),
        Panel(
            title="Alerts to owners",
            description="Found by the sweep, and their deliveries by way and result, within an hour.",
            unit=Unit.COUNT,
            queries={
                "found": "sum(increase(trunkline_console_alerts_total[1h]))",
                "{{channel}} {{result}}": "sum by (channel, result) "
                "(increase(trunkline_console_alert_deliveries_total[1h]))",
            },
        ),
        Panel(
            title="Payments",
            description="Announced by payment providers, by what was made of them, within an hour.",
            unit=Unit.COUNT,
            queries={
                "{{provider}} {{result}}": "sum by (provider, result) (increase(trunkline_console_payments_total[1h]))"
            },
        ),
        Panel(
            title="History and upkeep",
            description="Samples of health by result, and times that history or upkeep had to wait.",
            unit=Unit.PER_SECOND,
            queries={
                "{{result}}": per_second("trunkline_console_history_total", by="result"),
                "history waits": per_second("trunkline_console_history_failures_total"),
                "upkeep waits": per_second("trunkline_console_upkeep_failures_total"),
            },
        ),
    ),
)

BOARD = Board(
    "money",
    "Trunkline: money and metering",
    "Charge and cost, settlement and how far it is behind, allowances, the ledger, the console.",
    (NOW, SETTLEMENT, ALLOWANCES, CONSOLE, process_row("metering|console")),
    (instances("metering|console"),),
)
