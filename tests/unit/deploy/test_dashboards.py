"""Dashboards: the files are those that the code makes, panels say what they show, and all that is measured is shown."""

import itertools
import json
from typing import Any

import pytest
import yaml

from deploy.grafana.boards import BOARDS, DASHBOARDS, files
from deploy.grafana.builder import COLUMNS, Board, Panel, Source, Stat, Unit
from tests.support.promql import OF_EXPORTERS, ROOT, SUFFIXES, declared, names_in, readable, rules

AMOUNTS = {Unit.USD}
"""Of which more is neither good nor bad."""

NOT_SHOWN: dict[str, str] = {}
"""Metrics that no board and no rule has, and why."""

PANELS = [(board, panel) for board in BOARDS for panel in board.panels]


def queries(board: Board, source: Source) -> list[str]:
    return [query for panel in board.panels if panel.source is source for query in panel.queries.values()]


def test_files_are_those_that_make_docs_writes() -> None:
    assert {path: path.read_text() for path in DASHBOARDS.glob("*.json")} == files()


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_places_do_not_overlap_and_numbers_are_unique(board: Board) -> None:
    rendered: list[dict[str, Any]] = json.loads(board.render())["panels"]
    assert len({panel["id"] for panel in rendered}) == len(rendered)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in rendered):
        assert place["x"] + place["w"] <= COLUMNS
        cells = set(
            itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]))
        )
        assert not cells & taken
        taken |= cells


def test_boards_can_be_told_apart() -> None:
    assert len({board.name for board in BOARDS}) == len({board.title for board in BOARDS}) == len(BOARDS)
    for board in BOARDS:
        titles = [(row.title, panel.title) for row in board.rows for panel in row.panels]
        assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=lambda each: getattr(each, "title", None))
def test_panel_says_what_it_shows(board: Board, panel: Panel) -> None:
    assert panel.description.endswith("."), board.name
    assert panel.queries
    if type(panel) is Stat and panel.source is Source.PROMETHEUS:
        assert panel.thresholds is not None or panel.unit in AMOUNTS or board.name == "dependencies"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_board_reads_metrics_that_exist(board: Board) -> None:
    for query in queries(board, Source.PROMETHEUS):
        read = names_in(query)
        assert read
        assert read - OF_EXPORTERS <= readable(), query


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_variables_are_used_and_those_used_are_there(board: Board) -> None:
    text = " ".join(query for source in Source for query in queries(board, source))
    for variable in board.variables:
        assert f"${variable.name}" in text or f"${{{variable.name}:" in text
    named = {"$instance": "instance", "$lane": "lane", "$channel": "channel", "${account:": "account"}
    there = {variable.name for variable in board.variables}
    assert {name for sign, name in named.items() if sign in text} <= there


def test_all_that_is_measured_is_on_a_board_or_in_a_rule() -> None:
    texts = [query for board in BOARDS for query in queries(board, Source.PROMETHEUS)]
    read = set().union(*map(names_in, [*texts, *(rule.expr for rule in rules())]))
    unseen = {
        name for name, kind in declared().items() if not read & {name + suffix for suffix in SUFFIXES.get(kind, ("",))}
    }
    assert unseen == NOT_SHOWN.keys(), "put it on a board in deploy/grafana/boards, or say in NOT_SHOWN why not"


def test_containers_load_rules_and_boards_from_where_they_are_mounted() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    mounted = {
        name: dict(reversed(volume.removesuffix(":ro").split(":")) for volume in services[name]["volumes"])
        for name in ("prometheus", "grafana", "reader")
    }
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert prometheus["rule_files"] == ["rules/*.yml"]
    assert mounted["prometheus"]["/etc/prometheus/rules"] == "./deploy/prometheus/rules"
    provisioning = ROOT / mounted["grafana"]["/etc/grafana/provisioning"]
    (provider,) = yaml.safe_load((provisioning / "dashboards/trunkline.yml").read_text())["providers"]
    assert ROOT / mounted["grafana"][provider["options"]["path"]] == DASHBOARDS
    sources = {
        source["type"]: source
        for path in (provisioning / "datasources").glob("*.yml")
        for source in yaml.safe_load(path.read_text())["datasources"]
    }
    assert set(sources) == {source.value for source in Source}
    reader = (ROOT / mounted["reader"]["/etc/reader.sql"]).read_text()
    assert f"create role {sources[Source.POSTGRES]['user']} login" in reader
    given = services["grafana"]["environment"]
    assert "POSTGRES_READER_PASSWORD" in given
    # Who gets into Grafana is not an operator of the site for that.
    assert "GRAFANA_PASSWORD" in given["GF_SECURITY_ADMIN_PASSWORD"]
