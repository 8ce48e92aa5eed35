"""The edges: clients, jobs, waiting for room, allowances, and the usage that they keep until it is stored."""

from deploy.grafana.boards.parts import instances, per_second, process_row, quantile
from deploy.grafana.builder import Board, Panel, Row, Stack, Stat, Thresholds, Unit, Variable

EDGE = 'job="edge", instance=~"$instance"'

NOW = Row(
    "Now",
    (
        Stat(
            title="Edges ready",
            description="Edges that can work.",
            unit=Unit.COUNT,
            queries={"ready": f"sum(trunkline_ready{{{EDGE}}})"},
            thresholds=Thresholds(2, 1),
        ),
        Stat(
            title="Dispatchers heard",
            description="Of the edge that hears fewest.",
            unit=Unit.COUNT,
            queries={"dispatchers": f"min(trunkline_edge_dispatchers{{{EDGE}}})"},
            thresholds=Thresholds(2, 1),
        ),
        Stat(
            title="Connections",
            description="Client connections.",
            unit=Unit.COUNT,
            queries={"connections": f"sum(trunkline_edge_connections{{{EDGE}}})"},
            thresholds=Thresholds(40000, 60000),
        ),
        Stat(
            title="Jobs",
            description="Jobs in flight.",
            unit=Unit.COUNT,
            queries={"jobs": f"sum(trunkline_edge_jobs{{{EDGE}}})"},
            thresholds=Thresholds(10000, 20000),
        ),
        Stat(
            title="Waiting",
            description="Jobs that wait because all dispatchers are full; none should.",
            unit=Unit.COUNT,
            queries={"waiting": f'sum(trunkline_edge_waiting{{{EDGE}, lane=~"$lane"}})'},
            thresholds=Thresholds(1, 100),
        ),
        Stat(
            title="Usage on disk",
            description="Usage that JetStream does not take; none should be.",
            unit=Unit.BYTES,
            queries={"bytes": f"sum(trunkline_edge_spool_bytes{{{EDGE}}})"},
            thresholds=Thresholds(1, 100_000_000),
        ),
    ),
)

REQUESTS = Row(
    "Requests",
    (
        Stack(
            title="By endpoint",
            description="Finished requests by what they asked for.",
            unit=Unit.PER_SECOND,
            queries={"{{route}}": per_second("trunkline_edge_requests_total", EDGE, "route")},
        ),
        Panel(
            title="By outcome",
            description="Finished requests that were not answered well; the first word says whose fault it is.",
            unit=Unit.PER_SECOND,
            queries={"{{outcome}}": per_second("trunkline_edge_requests_total", f'{EDGE}, outcome!="ok"', "outcome")},
        ),
        Panel(
            title="Whole time",
            description="From the whole request to the end of its answer.",
            unit=Unit.SECONDS,
            queries={
                f"p{percent}": quantile(percent, "trunkline_edge_request_seconds", EDGE) for percent in (50, 90, 99)
            },
        ),
        Panel(
            title="First byte, p99",
            description="From the whole request to the first byte, of streams and of whole answers.",
            unit=Unit.SECONDS,
            queries={"{{form}}": quantile(99, "trunkline_edge_first_byte_seconds", EDGE, "form")},
            thresholds=Thresholds(5, 10),
        ),
        Panel(
            title="Overhead",
            description="What the gateway itself adds until an answer begins, on average; a millisecond is usual.",
            unit=Unit.SECONDS,
            queries={
                "{{instance}}": f"rate(trunkline_edge_overhead_seconds_sum{{{EDGE}}}[$__rate_interval])"
                f" / rate(trunkline_edge_overhead_seconds_count{{{EDGE}}}[$__rate_interval])"
            },
            thresholds=Thresholds(0.01, 0.05),
        ),
        Panel(
            title="Connections and jobs",
            description="What each edge holds.",
            unit=Unit.COUNT,
            queries={
                "connections {{instance}}": f"trunkline_edge_connections{{{EDGE}}}",
                "jobs {{instance}}": f"trunkline_edge_jobs{{{EDGE}}}",
            },
        ),
    ),
)

ROOM = Row(
    "Room at dispatchers",
    (
        Panel(
            title="Waiting",
            description="Jobs that wait, by lane; none should for long.",
            unit=Unit.COUNT,
            queries={"{{lane}}": f'sum by (lane) (trunkline_edge_waiting{{{EDGE}, lane=~"$lane"}})'},
            thresholds=Thresholds(1, 100),
        ),
        Panel(
            title="How long they waited",
            description="Of the jobs that got in after waiting; after ten seconds by default they are refused.",
            unit=Unit.SECONDS,
            queries={f"p{percent}": quantile(percent, "trunkline_edge_wait_seconds", EDGE) for percent in (50, 99)},
            thresholds=Thresholds(1, 10),
        ),
        Panel(
            title="Refused while full",
            description="Jobs for which there was no room, by why.",
            unit=Unit.PER_SECOND,
            queries={"{{why}}": per_second("trunkline_edge_admission_refused_total", EDGE, "why")},
            thresholds=Thresholds(0.01, 0.1),
        ),
        Panel(
            title="Offered again",
            description="Jobs that went to another dispatcher, by the error of the last offer.",
            unit=Unit.PER_SECOND,
            queries={"{{why}}": per_second("trunkline_edge_reoffers_total", EDGE, "why")},
        ),
        Panel(
            title="Dispatchers",
            description="Dispatchers that each edge hears, and how many it has lost within an hour.",
            unit=Unit.COUNT,
            queries={
                "heard by {{instance}}": f"trunkline_edge_dispatchers{{{EDGE}}}",
                "lost by {{instance}}": f"increase(trunkline_edge_dispatchers_lost_total{{{EDGE}}}[1h])",
            },
        ),
        Panel(
            title="Messages dropped or not understood",
            description="Messages that NATS did not take, or refused, and frames that were not understood: none.",
            unit=Unit.PER_SECOND,
            queries={
                "dropped": per_second("trunkline_bus_dropped_total", EDGE),
                "refused": per_second("trunkline_bus_permissions_refused_total", EDGE),
                "not understood": per_second("trunkline_edge_frames_refused_total", EDGE),
            },
        ),
    ),
)

CREDIT = Row(
    "Keys, allowances, usage",
    (
        Panel(
            title="Keys looked up",
            description="Keys that were not in the cache, by whether they exist.",
            unit=Unit.PER_SECOND,
            queries={"{{result}}": per_second("trunkline_edge_key_lookups_total", EDGE, "result")},
        ),
        Panel(
            title="Wrong keys",
            description="Requests with a wrong key by what is wrong with it, and addresses that have lately tried one.",
            unit=Unit.PER_SECOND,
            queries={
                "{{why}}": per_second("trunkline_edge_failed_keys_total", EDGE, "why"),
                "addresses": f"sum(trunkline_edge_failed_key_addresses{{{EDGE}}})",
            },
        ),
        Panel(
            title="Allowances",
            description="Requests for allowances by result, and leases that go on without an answer.",
            unit=Unit.PER_SECOND,
            queries={
                "{{result}}": per_second("trunkline_edge_allowance_draws_total", EDGE, "result"),
                "on grace": per_second("trunkline_edge_allowance_grace_total", EDGE),
            },
        ),
        Panel(
            title="Questions about keys",
            description="What clients ask about their own limits and use, by what came of it.",
            unit=Unit.PER_SECOND,
            queries={"{{result}}": per_second("trunkline_edge_inquiries_total", EDGE, "result")},
        ),
        Panel(
            title="Jobs settled",
            description="What jobs came to; lost ones should be none.",
            unit=Unit.PER_SECOND,
            queries={"{{result}}": per_second("trunkline_edge_jobs_settled_total", EDGE, "result")},
        ),
        Panel(
            title="Usage kept",
            description="Usage held until its dispatcher says that it is stored; jobs whose use is still to be told.",
            unit=Unit.COUNT,
            queries={
                "unconfirmed": f"sum(trunkline_edge_usage_unconfirmed{{{EDGE}}})",
                "settling": f"sum(trunkline_edge_jobs_settling{{{EDGE}}})",
            },
        ),
        Panel(
            title="Usage published here",
            description="Usage of lost dispatchers that edges published, that JetStream did not take at first, that "
            "went to disk, and copies let go.",
            unit=Unit.PER_SECOND,
            queries={
                "published": per_second("trunkline_edge_usage_published_total", EDGE),
                "not taken": per_second("trunkline_edge_usage_store_failures_total", EDGE),
                "to disk": per_second("trunkline_edge_usage_spooled_total", EDGE),
                "let go": per_second("trunkline_edge_usage_copies_dropped_total", EDGE),
            },
        ),
        Panel(
            title="Spool",
            description="Part of the room for usage on disk that is used; none should be.",
            unit=Unit.SHARE,
            queries={
                "{{instance}}": f"trunkline_edge_spool_bytes{{{EDGE}}} / trunkline_edge_spool_bytes_max{{{EDGE}}}"
            },
            thresholds=Thresholds(0.1, 0.7),
        ),
    ),
)

BOARD = Board(
    "edge",
    "Trunkline: edges",
    "Clients, jobs, waiting for room, allowances, and usage that is kept until it is stored.",
    (NOW, REQUESTS, ROOM, CREDIT, process_row("edge")),
    (instances("edge"), Variable("lane", "Lane", "label_values(trunkline_edge_waiting, lane)")),
)
