"""Prints a report as text. Pure."""

from collections.abc import Sequence

from bench.figures import ratio
from bench.results import GATEWAY_ROLES, PROMISED_ROLES, Held, Latency, Money, Report, Scale, Translations, Work

PLAIN_PROMISE_US = 300.0
CHUNK_PROMISE_US = 45.0
ADDED_P50_PROMISE_US = 1000.0
ADDED_P99_PROMISE_US = 5000.0
TRANSLATED_REQUEST_AIM_US = 150.0
TRANSLATED_CHUNK_AIM_US = 25.0


def text(report: Report) -> str:
    """Return all of it."""
    machine = report.machine
    head = f"{report.date} UTC, commit {report.commit}; {machine.cores} cores {machine.cpu}, {machine.kernel}, "
    head += f"Python {machine.python}; load before {machine.load_before:.2f}{'; quick' if report.quick else ''}"
    parts = [head]
    if report.works:
        parts.append(_works("CPU, µs per unit of work (idle load taken off; of it in the kernel)", report.works))
    if report.latencies:
        parts.append(_latencies(report.latencies))
    if report.held:
        parts += [_held(held) for held in report.held]
    if report.scales:
        parts.append(_scales(report.scales))
    if report.translations is not None:
        parts.append(_translations(report.translations))
    if report.money is not None:
        parts.append(_money(report.money))
    if report.first_start_s:
        starts = ", ".join(f"{seconds:.1f}" for seconds in report.starts_s) or "not measured"
        parts.append(f"Time to ready: first start {report.first_start_s:.1f} s; warm {starts} s")
    failures = report.failures()
    found = "; ".join(f"{count} times {reason}" for reason, count in sorted(failures.items()))
    parts.append(f"Failures: {found or 'none'}")
    return "\n\n".join(parts) + "\n"


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [title]
    for row in (head, *rows):
        first, *rest = (
            cell.ljust(width) if not at else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  " + "  ".join([first, *rest]).rstrip())
    return "\n".join(lines)


def _role(work: Work, role: str) -> str:
    cost = work.roles.get(role)
    return "-" if cost is None else f"{cost.us:.1f} ({cost.kernel:.0%})"


def _works(title: str, works: Sequence[Work]) -> str:
    head = ["", *(work.name for work in works)]
    rows = [[role, *(_role(work, role) for work in works)] for role in PROMISED_ROLES]
    rows.append(["= sum", *(f"{work.promised_us:.1f}" for work in works)])
    rows += [[role, *(_role(work, role) for work in works)] for role in GATEWAY_ROLES if role not in PROMISED_ROLES]
    rows.append(
        ["promise", *(f"{CHUNK_PROMISE_US if work.unit == 'chunk' else PLAIN_PROMISE_US:.0f}" for work in works)]
    )
    rows.append(["upstream behind it", *(f"{work.upstream_us:.1f}" for work in works)])
    rows.append(["upstream directly", *(f"{work.direct_upstream_us:.1f}" for work in works)])
    rows.append(["sum / upstream", *(f"{ratio(work.promised_us, work.direct_upstream_us):.1f}" for work in works)])
    rows.append(["load generator", *(f"{work.generator_us:.1f}" for work in works)])
    rows.append(["units", *(f"{work.units} {work.unit}s" for work in works)])
    rows.append(["per second", *(f"{work.per_s:.0f}" for work in works)])
    rows.append(["others' CPU", *(f"{work.others:.0%}" for work in works)])
    rows.append(["machine slowed by", *(f"{work.slowed:.0%}" for work in works)])
    return _table(title, head, rows)


def _latencies(latencies: Sequence[Latency]) -> str:
    head = [
        "",
        "gateway p50",
        "p99",
        "upstream p50",
        "p99",
        "added p50",
        "p99",
        "gateway/s",
        "upstream/s",
        "late p99",
        "others",
        "slowed",
    ]
    rows = [
        [
            f"{latency.name} ({latency.what})",
            f"{latency.gateway.p50_us / 1000:.2f}",
            f"{latency.gateway.p99_us / 1000:.2f}",
            f"{latency.direct.p50_us / 1000:.2f}",
            f"{latency.direct.p99_us / 1000:.2f}",
            f"{latency.added_p50_us / 1000:.2f}",
            f"{latency.added_p99_us / 1000:.2f}",
            f"{latency.gateway.per_s:.0f}",
            f"{latency.direct.per_s:.0f}",
            f"{latency.late_p99_us / 1000:.2f}",
            f"{latency.others:.0%}",
            f"{latency.slowed:.0%}",
        ]
        for latency in latencies
    ]
    return _table(
        f"Latency, ms (promise at low load: {ADDED_P50_PROMISE_US / 1000:.0f} added at p50, "
        f"{ADDED_P99_PROMISE_US / 1000:.0f} at p99)",
        head,
        rows,
    )


def _held(held: Held) -> str:
    rows = [
        [
            role,
            f"{memory.base_pss / 2**20:.1f}",
            f"{memory.stream_rss / 1024:.1f}",
            f"{memory.stream_pss / 1024:.1f}",
            _role(held.work, role),
        ]
        for role, memory in held.roles.items()
    ]
    memories = held.roles.values()
    rows.append(
        [
            "sum",
            f"{sum(memory.base_pss for memory in memories) / 2**20:.1f}",
            f"{sum(memory.stream_rss for memory in memories) / 1024:.1f}",
            f"{sum(memory.stream_pss for memory in memories) / 1024:.1f}",
            f"{held.work.all_us:.1f}",
        ]
    )
    rows.append(["upstream", "", "", "", f"{held.work.upstream_us:.1f}"])
    rows.append(["load generator", "", "", "", f"{held.work.generator_us:.1f}"])
    rows.append(["others' CPU", "", "", "", f"{held.work.others:.0%}"])
    rows.append(["machine slowed by", "", "", "", f"{held.work.slowed:.0%}"])
    silence = ", ".join(
        f"{name} {us / 1e6:.2f} s"
        for name, us in (("p50", held.gap_p50_us), ("p99", held.gap_p99_us), ("most", held.gap_max_us))
    )
    stalled = "STALLED" if held.stalled else "none stalled"
    title = (
        f"{held.streams} open streams, a chunk each {held.pace_s:g} s: {held.open} open at the least, {stalled}; "
        f"longest silence of a stream {silence}"
    )
    return _table(title, ["", "MiB before", "KiB/stream RSS", "PSS", "µs/chunk"], rows)


def _scales(scales: Sequence[Scale]) -> str:
    head = [
        "keys",
        "used",
        "channels",
        "serving the model",
        *PROMISED_ROLES,
        "sum",
        "p50 ms",
        "in KV after s",
        "idle",
        "others",
        "slowed",
    ]
    rows = [
        [
            str(scale.keys),
            str(scale.keys_used),
            str(scale.channels),
            str(scale.serving),
            *(_role(scale.work, role) for role in PROMISED_ROLES),
            f"{scale.work.promised_us:.1f}",
            f"{scale.p50_us / 1000:.2f}",
            f"{scale.projected_s:.1f}",
            f"{scale.idle:.1%}",
            f"{scale.work.others:.0%}",
            f"{scale.work.slowed:.0%}",
        ]
        for scale in scales
    ]
    return _table("Cost of a plain request by the size of the system, CPU µs", head, rows)


def _money(money: Money) -> str:
    rows = [
        [name, str(count), f"{per_s:.0f}", *(f"{roles[role].us:.1f}" for role in roles), latency]
        for name, count, per_s, roles, latency in (
            ("usage events settled", money.events, money.events_per_s, money.event_roles, ""),
            (
                "draws decided",
                money.draws,
                money.draws_per_s,
                money.draw_roles,
                f"{money.draw_p50_us / 1000:.2f} / {money.draw_p99_us / 1000:.2f}; {money.draw_alone_us / 1000:.2f}",
            ),
        )
    ]
    head = ["", "count", "per s", *(f"{role} µs" for role in money.event_roles), "p50 / p99; alone, ms"]
    return _table("Money, CPU per event and per draw", head, rows)


def _translations(translations: Translations) -> str:
    requests = {(pair.client, pair.upstream): (pair.request_us, pair.request_best_us) for pair in translations.pairs}
    chunks = {(pair.client, pair.upstream): (pair.chunk_us, pair.chunk_best_us) for pair in translations.pairs}
    head = (
        f"Translation in process, median of {translations.rounds} rounds (best); machine slowed by "
        f"{translations.slowed:.0%}. Client's dialect down, upstream's across; = is the way without translation"
    )
    return "\n\n".join(
        (
            head,
            _crossings("A request and its whole answer, CPU µs", requests, TRANSLATED_REQUEST_AIM_US),
            _crossings("A streamed chunk, CPU µs", chunks, TRANSLATED_CHUNK_AIM_US),
        )
    )


def _crossings(title: str, costs: dict[tuple[str, str], tuple[float, float]], aim_us: float) -> str:
    """Return a table of medians and bests by client and upstream; each pair is set against its client's own dialect."""
    clients = list(dict.fromkeys(client for client, _ in costs))
    upstreams = list(dict.fromkeys(upstream for _, upstream in costs))
    rows = []
    most = 0.0
    for client in clients:
        added = max(costs[client, upstream][0] - costs[client, client][0] for upstream in upstreams)
        most = max(most, added)
        cells = [
            f"{'= ' if client == upstream else ''}{costs[client, upstream][0]:.1f} ({costs[client, upstream][1]:.1f})"
            for upstream in upstreams
        ]
        rows.append([client, *cells, f"{added:.1f}"])
    verdict = "holds" if most <= aim_us else "MISSED"
    return f"{_table(title, ['', *upstreams, 'added at most'], rows)}\n  aim: at most {aim_us:.0f} added; {verdict}"
