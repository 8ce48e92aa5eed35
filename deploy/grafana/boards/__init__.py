"""All boards, and the files that they become: ``make docs`` writes them, and a test compares."""

from pathlib import Path

from deploy.grafana.boards import account, dependencies, dispatchers, edge, money, overview

DASHBOARDS = Path(__file__).parents[1] / "dashboards"

BOARDS = (overview.BOARD, edge.BOARD, dispatchers.BOARD, money.BOARD, dependencies.BOARD, account.BOARD)


def files() -> dict[Path, str]:
    """Return what each file in `DASHBOARDS` is to hold."""
    return {DASHBOARDS / f"{board.name}.json": board.render() for board in BOARDS}
