"""The figures, tables and plots of the comparison of strategies, from runs that are written by hand."""

import xml.etree.ElementTree as ET

import msgspec
import pytest

from bench import strategies, strategy_plots, svg
from bench.fleet import Call, Fleet, Served
from bench.fleet_providers import CACHED, COOLING_S, Provider, Trouble, Upstream
from bench.fleet_scenarios import SCENARIOS, Scenario, requests
from bench.strategies import BIN_S, FIRSTS_MIN, Comparison, Run
from bench.svg import Axis, Line
from trunkline.bus.snapshots import Strategy

CHEAP = Provider("cheap", cost=1.0, first_token_s=1.0, tokens_per_s=10.0)
DEAR = Provider("dear", cost=3.0, first_token_s=0.5, tokens_per_s=10.0)
SCENARIO = Scenario("two", "Two providers.", (CHEAP, DEAR), 10.0, 20.0, (10.0, 20.0))
SVG = "{http://www.w3.org/2000/svg}"


def served(at_s: float, channel: int, *, first_s: float = 0.5, conversation: int = 1, attempts: int = 1) -> Served:
    return Served(at_s, first_s, True, attempts, channel, 10 * channel, 100, conversation)


def summed_up(ones: list[Served], calls: list[Call]) -> Run:
    fleet = Fleet(SCENARIO.providers, [], Strategy.COST, affinity=False, seed=1)
    fleet.served, fleet.calls = ones, calls
    return strategies.summed_up(SCENARIO, fleet, Strategy.COST, affinity=False)


def test_figures_are_of_the_time_that_is_watched() -> None:
    early = [served(1.0, 2, first_s=9.0, attempts=5)]
    ones = [served(10.0 + number / 100, 1 + number % 2, first_s=number / 100) for number in range(FIRSTS_MIN)]
    cut = Served(19.0, 0.2, False, 2, 1, 10, 1000, 1)
    none = Served(19.5, None, False, 3, 0, 0, 100, 1)
    run = summed_up([*early, *ones, cut, none], [])
    assert run.requests == FIRSTS_MIN + 3
    assert run.answered == pytest.approx((FIRSTS_MIN + 1) / (FIRSTS_MIN + 3))
    assert run.watched == pytest.approx(FIRSTS_MIN / (FIRSTS_MIN + 2))
    assert run.p50_s == pytest.approx(0.49)
    assert run.cost == 2.0  # half at one, half at three; what was cut does not count
    assert run.attempts == pytest.approx((FIRSTS_MIN + 5) / (FIRSTS_MIN + 2))
    # All moved, the first one from where the early one was, the one that was cut from where the last one was.
    assert run.moved == 1.0


def test_of_few_first_tokens_there_is_no_percentile() -> None:
    run = summed_up([served(11.0, 1)] * (FIRSTS_MIN - 1), [])
    assert (run.p50_s, run.p99_s) == (0.0, 0.0)


def test_moments_count_requests_when_they_were_sent_and_attempts_when_they_were_made() -> None:
    run = summed_up(
        [served(0.1, 1, first_s=0.3), served(0.2, 1, first_s=0.7), served(6.0, 2)],
        [Call(0.1, 1, 1.0, 200), Call(0.2, 2, 0.0, 500), Call(4.9, 1, 1.0, 200), Call(6.0, 2, 1.0, 200)],
    )
    first, second = run.moments[:2]
    assert (first.at_s, first.p50_s, first.attempts) == (BIN_S / 2, 0.3, 1.5)
    assert first.shares == {1: 2 / 3, 2: 1 / 3}
    assert (second.attempts, second.shares) == (1.0, {1: 0.0, 2: 1.0})
    assert run.ejected == 1


def some_runs(scenario: Scenario) -> Comparison:
    runs = [summed_up([served(11.0, 1 + turn % 2, first_s=0.25)] * FIRSTS_MIN, []) for turn, _ in enumerate(Strategy)]
    return Comparison(
        scenario,
        [
            msgspec.structs.replace(run, strategy=strategy, affinity=affinity)
            for affinity in (False, True)
            for strategy, run in zip(Strategy, runs, strict=True)
        ],
    )


def test_a_table_has_both_figures_in_a_cell_where_they_differ() -> None:
    found = some_runs(SCENARIO)
    found.runs[len(Strategy)] = msgspec.structs.replace(found.runs[len(Strategy)], p99_s=0.75, moved=0.5)
    lines = strategies.text([found]).splitlines()
    assert lines[0] == "**Two.** Two providers."
    assert lines[2] == "| strategy | answered | 10 to 20 s | p50 | p99 | cost | attempts | moved |"
    assert lines[4] == "| `priority` | 100% | 100% | 0.25 | 0.25 / 0.75 | 1.00 | 1.00 | 50% |"
    assert len(lines) == 4 + len(Strategy)


def test_every_plot_is_well_formed_and_has_a_line_for_each_strategy() -> None:
    drawings = strategy_plots.plots(some_runs(make(1)) for make in SCENARIOS)
    assert len(drawings) == 5
    for name, drawing in drawings.items():
        root = ET.fromstring(drawing)  # noqa: S314 - our own text
        drawn = len(root.findall(f"{SVG}polyline")) + len(root.findall(f"{SVG}circle"))
        assert drawn == {"all-fail.svg": 2, "mixed-day.svg": 2 * len(Strategy)}.get(name, len(Strategy))


def test_a_chart_puts_what_is_beyond_its_ends_at_its_edge_and_escapes_names() -> None:
    axis = Axis("<x>", 0.0, 10.0, 5.0)
    drawing = svg.lines("a & b", axis, axis, [Line("<one>", [(0.0, 0.0), (20.0, 20.0)])], band=(0.0, 5.0))
    root = ET.fromstring(drawing)  # noqa: S314 - our own text
    (line,) = root.findall(f"{SVG}polyline")
    first, last = ([float(part) for part in point.split(",")] for point in line.attrib["points"].split())
    assert first == [svg.LEFT, svg.HEIGHT - svg.BOTTOM]
    assert last == [svg.WIDTH - svg.RIGHT, svg.TOP]
    assert [mark.text for mark in root.findall(f"{SVG}text") if mark.text in {"0", "5", "10"}] == ["0", "5", "10"] * 2


# --- providers and requests ------------------------------------------------------------------------------------------


def test_requests_are_the_same_for_a_seed_and_at_the_rate_that_is_asked() -> None:
    scenario = SCENARIO._replace(per_s=100.0, seconds=100.0, swing=0.5)
    found = requests(scenario, 3)
    assert found == requests(scenario, 3)
    assert found != requests(scenario, 4)
    assert 9_500 < len(found) < 10_500
    middle = sum(25.0 <= one.at_s < 75.0 for one in found)
    assert 0.6 < middle / len(found) < 0.7  # a half, and half of it times two over pi
    assert all(one.conversation for one in found)


def test_a_provider_counts_each_account_s_minute_and_says_what_is_left() -> None:
    upstream = Upstream(CHEAP._replace(rpm=2), "seed")
    statuses = [upstream.answer(0, 1, 10, now).status for now in (0.0, 1.0, 2.0, 60.0)]
    assert statuses == [200, 200, 429, 200]
    refused = Upstream(CHEAP._replace(rpm=0), "seed").answer(0, 1, 10, 45.0)
    assert refused.headers["retry-after"] == "15"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert Upstream(CHEAP._replace(rpm=0, tells=False), "seed").answer(0, 1, 10, 45.0).headers == {}


def test_a_provider_is_quicker_where_it_knows_the_conversation_and_slower_in_a_crowd_or_in_trouble() -> None:
    def first_s(provider: Provider, *conversations: int, now: float = 0.0) -> float:
        upstream = Upstream(provider, "seed")
        answers = [upstream.answer(0, conversation, 10, now) for conversation in conversations]
        return answers[-1].first_s

    alone = first_s(CHEAP, 1, 2)
    assert first_s(CHEAP, 1, 1) == pytest.approx(CACHED * alone)
    assert first_s(CHEAP._replace(answers=1), 1, 2) == pytest.approx(2 * alone)
    slow = CHEAP._replace(troubles=(Trouble(0.0, 1.0, slower=5.0),))
    assert first_s(slow, 1, 2) == pytest.approx(5 * alone)
    assert first_s(slow, 1, 2, now=1.0) == pytest.approx(alone)


def test_a_provider_warms_up_by_its_requests_and_is_cold_again_without_them() -> None:
    upstream = Upstream(CHEAP._replace(cold=11.0, warm_after=10), "seed")
    spread = [upstream.answer(0, number, 10, 0.0).first_s for number in range(10)]
    plain = Upstream(CHEAP, "seed")
    factors = [first_s / plain.answer(0, number, 10, 0.0).first_s for number, first_s in enumerate(spread)]
    assert factors == pytest.approx([10.0 - number for number in range(10)])
    again = upstream.answer(0, 99, 10, 2 * COOLING_S).first_s / plain.answer(0, 99, 10, 2 * COOLING_S).first_s
    assert again == pytest.approx(10.0)
