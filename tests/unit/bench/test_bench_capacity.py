"""What a load needs, and what a simulated fleet of it does."""

from pathlib import Path

import msgspec
import pytest

from bench import capacity, capacity_report
from bench.capacity import Costs, Kind, Pace
from bench.capacity_fleet import RENEWED_AFTER_S, Fleet, simulate
from bench.results import Machine, Report, RoleCost, Work

PACE = Pace(first_token_s=0.5, tokens_per_s=50.0)
COSTS = Costs(
    request={"edge": 100.0, "nats": 20.0, "dispatcher": 100.0, "metering": 10.0, "postgres": 20.0},
    chunk={"edge": 10.0, "nats": 10.0, "dispatcher": 10.0, "metering": 0.0, "postgres": 0.0},
)
KINDS = [Kind("plain", 600.0, 50.0, 0.0), Kind("streamed", 400.0, 100.0, 1.0)]
FLEET = Fleet(edges=4, dispatchers=3, meterings=2, nodes=3, accounts=50)


def test_a_plan_adds_up() -> None:
    found = capacity.plan(KINDS, COSTS, PACE, draws_per_s=1000.0, routed=0.5)
    assert (found.requests_per_s, found.chunks_per_s) == (1000.0, 40_000.0)
    assert found.in_flight == pytest.approx(600 * 1.5 + 400 * 2.5)
    assert found.cores == {
        "edge": pytest.approx(0.1 + 0.4),
        "nats": pytest.approx((0.02 + 0.4 + 0.0126) * 1.5),
        "dispatcher": pytest.approx(0.5),
        "metering": pytest.approx(0.01 + 0.0482),
        "postgres": pytest.approx(0.02 + 0.0216),
    }
    assert found.processes == {"edge": 1, "dispatcher": 1, "metering": 1}
    assert found.nodes == {"nats": 1, "postgres": 1}


def test_long_answers_need_processes_for_their_number_alone() -> None:
    found = capacity.plan([Kind("long", 100.0, 50_000.0, 0.0)], COSTS, PACE, draws_per_s=0.0, routed=0.0)
    assert found.in_flight == pytest.approx(100_050.0)
    assert found.processes == {"edge": 9, "dispatcher": 17, "metering": 1}


def test_the_published_table_is_two_million_requests_a_minute() -> None:
    kinds = capacity.published(streamed=0.5, output_share=0.5)
    assert sum(kind.per_s for kind in kinds) * 60 == pytest.approx(2_043_082)
    assert kinds[0] == Kind("gpt-4o-mini", pytest.approx(820_000 / 60), pytest.approx(50.0), 0.5)
    assert capacity.bytes_per_s(2.0)["write-ahead log"] == 2 * capacity.WAL_BYTES


def test_a_fleet_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    runs = [simulate(KINDS, FLEET, PACE, seconds=4.0, warm_s=2.0, seed=seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_a_fleet_carries_what_it_is_asked() -> None:
    seen = simulate(KINDS, FLEET, PACE, seconds=12.0, warm_s=6.0, seed=1)
    assert seen.requests == pytest.approx(1000.0, rel=0.05)
    assert seen.in_flight == pytest.approx(1900.0, rel=0.1)
    assert seen.beats == 4 * 3 * 2 + 7 * 2
    # Each request is an offer, an acceptance and an answer; each stream has a hundred chunks and an end beside.
    in_and_out = 2 * (1000 * 2 + 600 + 400 * 101 + seen.beats)
    assert seen.node_messages[0] * FLEET.nodes == pytest.approx(in_and_out, rel=0.05)
    assert seen.node_messages[1] >= seen.node_messages[0]
    assert seen.routed == pytest.approx(0.66, abs=0.08)


def test_one_node_routes_nothing() -> None:
    assert simulate(KINDS, FLEET._replace(nodes=1), PACE, seconds=2.0, warm_s=1.0, seed=1).routed == 0.0


def test_leases_are_renewed_at_most_so_often_and_less_where_accounts_stay() -> None:
    wide = simulate(KINDS, FLEET, PACE, seconds=6.0, warm_s=3.0, seed=1)
    assert wide.draws <= FLEET.edges * FLEET.accounts / RENEWED_AFTER_S
    assert wide.draw_messages <= wide.draws < wide.requests
    narrow = simulate(KINDS, FLEET._replace(sticky=1), PACE, seconds=6.0, warm_s=3.0, seed=1)
    assert narrow.draws < wide.draws / 2


def test_costs_are_read_from_a_report(tmp_path: Path) -> None:
    works = [
        Work(name=name, unit="request", units=1, roles={"edge": RoleCost(us, 0.5)})
        for name, us in (("plain, 32 connections", 70.0), ("stream, 10 ms a chunk", 15.0))
    ]
    file = tmp_path / "report.json"
    report = Report(date="", commit="", machine=Machine("", 2, "", "", 0.0), quick=False)
    report.works = works
    file.write_bytes(msgspec.json.encode(report))
    assert capacity.costs_of(file) == Costs({"edge": 70.0}, {"edge": 15.0})
    report.works = works[:1]
    file.write_bytes(msgspec.json.encode(report))
    with pytest.raises(ValueError, match="lacks 'stream, 10 ms a chunk'"):
        capacity.costs_of(file)


def test_what_is_planned_is_told() -> None:
    found = capacity_report.work_out(capacity.MEASURED, seed=1, quick=True)
    told = capacity_report.text(found)
    assert "34,051 requests/s" in told
    assert f"| edge | {found.plan.cores['edge']:.1f} | {found.plan.processes['edge']} processes |" in told
    assert found.sticky.draws < found.seen.draws
