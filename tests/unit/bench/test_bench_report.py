import msgspec

from bench.report import text
from bench.results import Held, Latency, Machine, Report, RoleCost, RoleMemory, Scale, Target, Work

MACHINE = Machine("cpu", 2, "Linux 6", "3.11", 0.5)
WORK = Work(
    name="plain",
    unit="request",
    units=1000,
    roles={"edge": RoleCost(100.0, 0.25), "nats": RoleCost(50.5, 0.5)},
    promised_us=150.5,
    direct_upstream_us=15.05,
)


def report() -> Report:
    return Report(
        date="2026-01-01 00:00",
        commit="abc",
        machine=MACHINE,
        quick=True,
        works=[WORK],
        latencies=[
            Latency(
                name="1 connection",
                what="whole answer",
                gateway=Target(1500.0, 3000.0, 600.0),
                direct=Target(500.0, 1000.0, 1900.0),
                late_p99_us=0.0,
                others=0.0,
                slowed=0.0,
                failures={"status 500": 2},
            )
        ],
        held=[
            Held(
                streams=1000,
                open=1000,
                pace_s=1.0,
                roles={"edge": RoleMemory(2**20, 2048.0, 1024.0)},
                work=WORK,
                gap_p50_us=1e6,
                gap_p99_us=1e6,
                gap_max_us=1e6,
                stalled=False,
                failures={"connection closed": 1},
            )
        ],
        scales=[
            Scale(keys=1, keys_used=1, channels=10, serving=1, projected_s=1.0, idle=0.02, work=WORK, p50_us=900.0),
        ],
    )


def test_all_failures_are_added_up() -> None:
    assert report().failures() == {"status 500": 2, "connection closed": 1}
    assert "2 times status 500" in text(report())


def test_what_the_gateway_adds_is_the_difference() -> None:
    latency = report().latencies[0]
    assert latency.added_p50_us == 1000.0
    assert latency.added_p99_us == 2000.0


def test_the_sum_stands_beside_the_upstream() -> None:
    lines = {line.split("  ")[1]: line for line in text(report()).splitlines() if line.startswith("  ")}
    assert "150.5" in lines["= sum"]
    assert "10.0" in lines["sum / upstream"]
    assert "100.0 (25%)" in lines["edge"] or "100.0 (25%)" in text(report())


def test_the_json_has_all_of_it() -> None:
    assert msgspec.json.decode(msgspec.json.encode(report()), type=Report) == report()
