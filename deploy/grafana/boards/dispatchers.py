"""Dispatchers and channels: attempts, their speed, states, credentials, models, and what dispatchers hold."""

from deploy.grafana.boards.parts import instances, per_second, process_row, quantile
from deploy.grafana.builder import Board, Panel, Row, Stack, Stat, Table, Thresholds, Unit, Variable

DISPATCHER = 'job="dispatcher", instance=~"$instance"'
CHANNEL = f'{DISPATCHER}, channel=~"$channel"'

NOW = Row(
    "Now",
    (
        Stat(
            title="Dispatchers ready",
            description="Dispatchers that can work.",
            unit=Unit.COUNT,
            queries={"ready": f"sum(trunkline_ready{{{DISPATCHER}}})"},
            thresholds=Thresholds(2, 1),
        ),
        Stat(
            title="Jobs",
            description="Jobs in flight.",
            unit=Unit.COUNT,
            queries={"jobs": f"sum(trunkline_dispatcher_jobs{{{DISPATCHER}}})"},
            thresholds=Thresholds(10000, 20000),
        ),
        Stat(
            title="Channels ejected",
            description="Channels that get no jobs, because they fail.",
            unit=Unit.COUNT,
            queries={
                "ejected": 'sum(max by (channel) (trunkline_channel_state{state="ejected", channel=~"$channel"}))'
            },
            thresholds=Thresholds(1, 3),
        ),
        Stat(
            title="Models unserved",
            description="Models that no channel serves now.",
            unit=Unit.COUNT,
            queries={"models": "count(max by (model) (trunkline_model_channels) == 0) or vector(0)"},
            thresholds=Thresholds(1, 1),
        ),
        Stat(
            title="Credentials refused",
            description="Credentials that their providers refuse.",
            unit=Unit.COUNT,
            queries={"refused": 'sum(max by (channel) (trunkline_channel_refused_credentials{channel=~"$channel"}))'},
            thresholds=Thresholds(1, 3),
        ),
        Stat(
            title="Usage on disk",
            description="Usage that JetStream does not take; none should be.",
            unit=Unit.BYTES,
            queries={"bytes": f"sum(trunkline_dispatcher_spool_bytes{{{DISPATCHER}}})"},
            thresholds=Thresholds(1, 100_000_000),
        ),
    ),
)

ATTEMPTS = Row(
    "Attempts",
    (
        Stack(
            title="By channel",
            description="Upstream calls that have ended.",
            unit=Unit.PER_SECOND,
            queries={"{{channel}}": per_second("trunkline_dispatcher_attempts_total", CHANNEL, "channel")},
        ),
        Panel(
            title="Failed, by channel",
            description="Part of the attempts that failed by the provider's fault.",
            unit=Unit.SHARE,
            queries={"{{channel}}": 'channel:trunkline_dispatcher_attempts_failed:ratio_rate5m{channel=~"$channel"}'},
            thresholds=Thresholds(0.05, 0.2),
        ),
        Panel(
            title="Errors",
            description="Attempts that were not answered well, by how they ended.",
            unit=Unit.PER_SECOND,
            queries={
                "{{channel}} {{outcome}}": "topk(15, sum by (channel, outcome) "
                f'(rate(trunkline_dispatcher_attempts_total{{{CHANNEL}, outcome!="ok"}}[$__rate_interval])))'
            },
        ),
        Panel(
            title="First token, p99",
            description="From the start of a streamed attempt to its first output.",
            unit=Unit.SECONDS,
            queries={"{{channel}}": 'channel:trunkline_dispatcher_first_token_seconds:p99_5m{channel=~"$channel"}'},
            thresholds=Thresholds(5, 10),
        ),
        Panel(
            title="First token, p50",
            description="From the start of a streamed attempt to its first output.",
            unit=Unit.SECONDS,
            queries={"{{channel}}": quantile(50, "trunkline_dispatcher_first_token_seconds", CHANNEL, "channel")},
        ),
        Stack(
            title="Tokens",
            description="Tokens by direction; those of providers that report none are counted here.",
            unit=Unit.PER_SECOND,
            queries={
                "{{direction}} {{source}}": per_second(
                    "trunkline_dispatcher_tokens_total", CHANNEL, "direction, source"
                )
            },
        ),
    ),
)

HEALTH = Row(
    "Health",
    (
        Table(
            title="States",
            description="The state that each channel is in: serving, probing or ejected.",
            unit=Unit.COUNT,
            queries={
                "state": 'max by (channel, state) (trunkline_channel_state{channel=~"$channel"}) == 1',
            },
            width=8,
        ),
        Panel(
            title="Weights",
            description="What each channel deserves now; 1 is all of its weight.",
            unit=Unit.SHARE,
            queries={"{{channel}}": 'max by (channel) (trunkline_channel_weight{channel=~"$channel"})'},
        ),
        Panel(
            title="Ejections",
            description="How often channels were ejected, and those kept in although they fail, as too many are out.",
            unit=Unit.COUNT,
            queries={
                "ejected {{channel}}": "max by (channel) "
                '(increase(trunkline_channel_ejections_total{channel=~"$channel"}[1h]))',
                "spared {{channel}}": 'max by (channel) (trunkline_channel_spared{channel=~"$channel"})',
            },
        ),
        Table(
            title="Channels of models",
            description="How many channels take jobs of each model now; none is an outage of the model.",
            unit=Unit.COUNT,
            queries={"channels": "sort(max by (model) (trunkline_model_channels))"},
            thresholds=Thresholds(2, 1),
            width=8,
        ),
        Panel(
            title="Refused by providers",
            description="Credentials and models that providers refuse, by channel.",
            unit=Unit.COUNT,
            queries={
                "credentials {{channel}}": "max by (channel) "
                '(trunkline_channel_refused_credentials{channel=~"$channel"})',
                "models {{channel}}": 'max by (channel) (trunkline_channel_refused_models{channel=~"$channel"})',
            },
            thresholds=Thresholds(1, 3),
        ),
        Panel(
            title="Probes",
            description="Probes by result, and those that let a model work and cost money.",
            unit=Unit.PER_SECOND,
            queries={
                "{{result}}": per_second("trunkline_probes_total", by="result"),
                "paid": per_second("trunkline_probes_paid_total"),
            },
        ),
        Panel(
            title="Publishing",
            description="Age of the last weights, and how many processes publish them, which should be one.",
            unit=Unit.COUNT,
            queries={
                "age, s": "max(trunkline_weights_age_seconds)",
                "publish": "sum(trunkline_health_leads)",
            },
            thresholds=Thresholds(30, 60),
        ),
        Panel(
            title="Not published, not understood",
            description="Weights, closed models and samples that NATS did not take, and outcomes of unknown channels.",
            unit=Unit.PER_SECOND,
            queries={
                "weights": per_second("trunkline_weights_failures_total"),
                "closed models": per_second("trunkline_access_failures_total"),
                "samples": per_second("trunkline_history_lost_total"),
                "unknown channels": per_second("trunkline_outcomes_unknown_total"),
            },
        ),
    ),
)

DISPATCHERS = Row(
    "Dispatchers",
    (
        Stack(
            title="Jobs",
            description="Jobs in flight at each dispatcher.",
            unit=Unit.COUNT,
            queries={"{{instance}}": f"trunkline_dispatcher_jobs{{{DISPATCHER}}}"},
        ),
        Stack(
            title="Offers",
            description="Offers of jobs by what was decided: take, full, draining, late, withdrawn or duplicate.",
            unit=Unit.PER_SECOND,
            queries={"{{verdict}}": per_second("trunkline_dispatcher_offers_total", DISPATCHER, "verdict")},
        ),
        Panel(
            title="From other regions",
            description="Jobs taken from edges of other regions; where each region has room of its own there are none.",
            unit=Unit.PER_SECOND,
            queries={"jobs": per_second("trunkline_dispatcher_jobs_far_total", DISPATCHER)},
        ),
        Panel(
            title="Connections to providers",
            description="Kept and in use.",
            unit=Unit.COUNT,
            queries={"{{instance}}": f"trunkline_dispatcher_connections{{{DISPATCHER}}}"},
        ),
        Panel(
            title="Usage not stored yet",
            description="Usage events in memory or on disk; a second's worth is usual.",
            unit=Unit.COUNT,
            queries={"{{instance}}": f"trunkline_dispatcher_usage_pending{{{DISPATCHER}}}"},
            thresholds=Thresholds(1000, 5000),
        ),
        Panel(
            title="Spool",
            description="Part of the room for usage on disk that is used; none should be.",
            unit=Unit.SHARE,
            queries={
                "{{instance}}": f"trunkline_dispatcher_spool_bytes{{{DISPATCHER}}}"
                f" / trunkline_dispatcher_spool_bytes_max{{{DISPATCHER}}}"
            },
            thresholds=Thresholds(0.1, 0.7),
        ),
        Panel(
            title="JetStream",
            description="Usage that it did not take at first, and that went to disk.",
            unit=Unit.PER_SECOND,
            queries={
                "not taken": per_second("trunkline_dispatcher_usage_store_failures_total", DISPATCHER),
                "to disk": per_second("trunkline_dispatcher_usage_spooled_total", DISPATCHER),
            },
        ),
        Panel(
            title="Channels known",
            description="By each dispatcher, and snapshots that it could not use; all should know the same.",
            unit=Unit.COUNT,
            queries={
                "{{instance}}": f"trunkline_dispatcher_channels{{{DISPATCHER}}}",
                "refused {{instance}}": f"increase(trunkline_dispatcher_channels_refused_total{{{DISPATCHER}}}[1h])",
            },
        ),
        Panel(
            title="Fetched for providers",
            description="Pictures and documents fetched for providers that fetch no URLs, by how it went.",
            unit=Unit.PER_SECOND,
            queries={"{{result}}": per_second("trunkline_dispatcher_fetches_total", DISPATCHER, "result")},
        ),
        Panel(
            title="Edges",
            description="Edges that each dispatcher hears; all should hear all.",
            unit=Unit.COUNT,
            queries={"heard by {{instance}}": f"trunkline_dispatcher_edges{{{DISPATCHER}}}"},
        ),
        Panel(
            title="Lost",
            description="Edges whose beats stopped, messages that NATS did not take, frames that were not understood.",
            unit=Unit.PER_SECOND,
            queries={
                "edges": per_second("trunkline_dispatcher_edges_lost_total", DISPATCHER),
                "dropped": per_second("trunkline_bus_dropped_total", DISPATCHER),
                "frames": per_second("trunkline_dispatcher_frames_refused_total", DISPATCHER),
            },
        ),
    ),
)

BOARD = Board(
    "dispatchers",
    "Trunkline: dispatchers and channels",
    "Attempts by channel, their speed, states, credentials and models, and what dispatchers hold.",
    (NOW, ATTEMPTS, HEALTH, DISPATCHERS, process_row("dispatcher|health")),
    (
        instances("dispatcher|health"),
        Variable("channel", "Channel", "label_values(trunkline_channel_state, channel)"),
    ),
)
