"""Writes dashboards for Grafana: what a board is made of, and the JSON that it becomes.

Our own, since of Grafana's own model three kinds of panel and two of data source are used here: the SDK that Grafana
generates from its schemas has two megabytes of classes for one release of it, and checks no more than this does.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SCHEMA_VERSION = 39
"""Of Grafana's dashboards; later releases bring it up to date when they load it."""

COLUMNS = 24
"""Width of a board in Grafana's units."""

HEIGHT = 8
"""Of a panel, in Grafana's units."""

STAT_HEIGHT = 4


class Source(StrEnum):
    """Kinds of data sources. Each is a variable of the boards, so that they fit any Grafana."""

    PROMETHEUS = "prometheus"
    POSTGRES = "grafana-postgresql-datasource"


class Unit(StrEnum):
    """Grafana's names of units."""

    PER_SECOND = "reqps"
    COUNT = "short"
    SECONDS = "s"
    BYTES = "bytes"
    BYTES_PER_SECOND = "Bps"
    SHARE = "percentunit"
    USD = "currencyUSD"


@dataclass(frozen=True)
class Thresholds:
    """From which value on something is worth a look, and from which on it is bad.

    Attributes:
        warn, bad: both above the usual, or both below it.
    """

    warn: float
    bad: float

    def render(self) -> dict[str, Any]:
        """Return Grafana's form: colours from the lowest value upwards."""
        if self.bad >= self.warn:
            steps = [("green", None), ("orange", self.warn), ("red", self.bad)]
        else:
            steps = [("red", None), ("orange", self.bad), ("green", self.warn)]
        return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}


PLAIN = {"mode": "absolute", "steps": [{"color": "text", "value": None}]}
"""No thresholds. Without it Grafana takes its own, which call 80 of anything bad."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        title: a few words.
        description: one sentence that says what is shown, and what it should be.
        unit: of its values.
        queries: by what each is called in the legend, where ``{{label}}`` stands for a label's value. PromQL or SQL.
        thresholds: where there are values to go by.
        width: in Grafana's units.
        source: that all queries go to.
    """

    title: str
    description: str
    unit: Unit
    queries: dict[str, str]
    thresholds: Thresholds | None = None
    width: int = 8
    source: Source = Source.PROMETHEUS

    kind = "timeseries"
    height = HEIGHT

    def render(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return Grafana's form of the panel at a place of the board."""
        thresholds = PLAIN if self.thresholds is None else self.thresholds.render()
        defaults: dict[str, Any] = {"unit": self.unit.value, "thresholds": thresholds, **self.field_defaults()}
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": data_source(self.source),
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": self.options(),
            "targets": [self._target(*item) for item in enumerate(self.queries.items())],
        }

    def _target(self, index: int, query: tuple[str, str]) -> dict[str, Any]:
        legend, text = query
        target: dict[str, Any] = {"refId": chr(ord("A") + index), "datasource": data_source(self.source)}
        if self.source is Source.POSTGRES:
            return {**target, "rawSql": text, "rawQuery": True, "format": self.sql_format()}
        return {**target, "expr": text, "legendFormat": legend, "range": not self.instant, "instant": self.instant}

    @property
    def instant(self) -> bool:
        """Whether only the newest values are asked for."""
        return False

    def sql_format(self) -> str:
        """Return what rows are to become."""
        return "time_series"

    def field_defaults(self) -> dict[str, Any]:
        """Return how values are drawn."""
        style = {"mode": "line"} if self.thresholds is not None else {"mode": "off"}
        return {"custom": {"fillOpacity": 8, "showPoints": "never", "thresholdsStyle": style}, "min": 0}

    def options(self) -> dict[str, Any]:
        """Return what this kind of panel wants to know beside."""
        return {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }


@dataclass(frozen=True, kw_only=True)
class Stack(Panel):
    """Series on top of each other: parts of a whole."""

    def field_defaults(self) -> dict[str, Any]:
        """See `Panel`."""
        custom = {"fillOpacity": 40, "showPoints": "never", "stacking": {"mode": "normal", "group": "A"}}
        return {"custom": custom, "min": 0}


@dataclass(frozen=True, kw_only=True)
class Stat(Panel):
    """The newest value, large."""

    width: int = 4

    kind = "stat"
    height = STAT_HEIGHT

    @property
    def instant(self) -> bool:
        """See `Panel`."""
        return True

    def sql_format(self) -> str:
        """See `Panel`."""
        return "table"

    def field_defaults(self) -> dict[str, Any]:
        """See `Panel`."""
        return {}

    def options(self) -> dict[str, Any]:
        """See `Panel`."""
        return {"colorMode": "value", "graphMode": "none", "reduceOptions": {"calcs": ["lastNotNull"]}}


@dataclass(frozen=True, kw_only=True)
class Table(Stat):
    """The newest values, a row each."""

    width: int = 12

    kind = "table"
    height = HEIGHT

    def options(self) -> dict[str, Any]:
        """See `Panel`."""
        return {"showHeader": True, "cellHeight": "sm"}


@dataclass(frozen=True)
class Row:
    """A heading, and the panels below it, which are set from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """Something to choose at the head of a board.

    Attributes:
        name: as queries have it, behind a dollar sign.
        label: as people read it.
        query: what there is to choose from: PromQL's ``label_values`` or SQL.
        source: that the query goes to.
        several: whether more than one may be chosen, and all of them.
    """

    name: str
    label: str
    query: str
    source: Source = Source.PROMETHEUS
    several: bool = True

    def render(self) -> dict[str, Any]:
        """Return Grafana's form."""
        all_of_them = {"allValue": ".*", "current": {"text": "All", "value": "$__all"}}
        return {
            "type": "query",
            "name": self.name,
            "label": self.label,
            "datasource": data_source(self.source),
            "query": self.query,
            "refresh": 2,
            "sort": 1,
            "multi": self.several,
            "includeAll": self.several,
            **(all_of_them if self.several else {"current": {}}),
        }


@dataclass(frozen=True)
class Board:
    """One dashboard.

    Attributes:
        name: of its file and in its address.
        title: as people read it.
        description: one sentence.
        rows, variables: from top to bottom, from left to right.
        span: how far back it looks at first.
    """

    name: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    span: str = "3h"

    @property
    def panels(self) -> list[Panel]:
        """All panels."""
        return [panel for row in self.rows for panel in row.panels]

    def render(self) -> str:
        """Return the file."""
        sources = sorted({panel.source for panel in self.panels})
        board = {
            "uid": f"trunkline-{self.name}",
            "title": self.title,
            "description": self.description,
            "tags": ["trunkline"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": f"now-{self.span}", "to": "now"},
            "links": [{"type": "dashboards", "title": "Trunkline", "tags": ["trunkline"], "asDropdown": True}],
            "templating": {"list": [*map(_source_variable, sources), *(each.render() for each in self.variables)]},
            "panels": self._laid_out(),
        }
        return json.dumps(board, indent=1, ensure_ascii=False) + "\n"

    def _laid_out(self) -> list[dict[str, Any]]:
        laid: list[dict[str, Any]] = []
        y = 0
        for row in self.rows:
            place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
            laid.append({"id": len(laid) + 1, "type": "row", "title": row.title, "gridPos": place, "panels": []})
            y += 1
            x = height = 0
            for panel in row.panels:
                if x + panel.width > COLUMNS:
                    x, y, height = 0, y + height, 0
                laid.append(panel.render(len(laid) + 1, x, y))
                x, height = x + panel.width, max(height, panel.height)
            y += height
        return laid


def data_source(source: Source) -> dict[str, str]:
    """Return how a board names a data source: by the variable of its kind."""
    return {"type": source.value, "uid": f"${{{_variable_name(source)}}}"}


def _variable_name(source: Source) -> str:
    return source.name.lower()


def _source_variable(source: Source) -> dict[str, Any]:
    name = _variable_name(source)
    return {"type": "datasource", "name": name, "label": name.capitalize(), "query": source.value, "current": {}}
