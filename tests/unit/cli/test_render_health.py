"""What the commands for the health of channels and credentials show."""

import datetime as dt

from rich.console import Console, RenderableType

from trunkline.cli import render_health
from trunkline.policy.admin_health import CredentialStateView, HistoryRow

MOMENT = dt.datetime(2030, 1, 31, 12, 0, tzinfo=dt.UTC)


def lines(shown: RenderableType) -> list[list[str]]:
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(shown, markup=False, highlight=False)
    return [line.split() for line in capture.get().splitlines()]


def test_a_credential_is_refused_or_serves() -> None:
    views = [
        CredentialStateView("main", 7, "deadbeef", MOMENT, 401, MOMENT),
        CredentialStateView("main", 8, "0badcafe", None, 402, MOMENT),
        CredentialStateView("other", 9, "01234567", None, None, None),
    ]
    assert lines(render_health.credentials(views))[1:] == [
        ["main", "7", "deadbeef", "refused", "2030-01-31", "12:00", "401", "2030-01-31", "12:00"],
        ["main", "8", "0badcafe", "serving", "-", "402", "2030-01-31", "12:00"],
        ["other", "9", "01234567", "serving", "-", "-", "-"],
    ]


def test_history_has_a_line_for_each_span() -> None:
    rows = [HistoryRow(MOMENT, 36, 6, 200, 40, 10, 5), HistoryRow(MOMENT - dt.timedelta(hours=1), 0, 0, None, 0, 0, 0)]
    assert lines(render_health.history(rows))[1:] == [
        ["2030-01-31", "12:00", "36", "6", "200", "40", "10", "5"],
        ["2030-01-31", "11:00", "0", "0", "-", "0", "0", "0"],
    ]
