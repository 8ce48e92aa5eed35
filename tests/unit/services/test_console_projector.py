"""Which outbox entries may be written at the same time."""

import pytest

from services.console.projector import WRITES_MAX, runs
from trunkline.store.outbox import OutboxEntry


def entries(*places: tuple[str, str]) -> list[OutboxEntry]:
    return [OutboxEntry(number, bucket, token, b"") for number, (bucket, token) in enumerate(places)]


@pytest.mark.parametrize(
    ("places", "lengths"),
    [
        ([], []),
        ([("keys", "a"), ("keys", "b"), ("keys", "c")], [3]),
        ([("keys", "a"), ("keys", "a")], [1, 1]),
        ([("channels", "1"), ("models", "1"), ("models", "2"), ("channels", "1")], [1, 2, 1]),
        ([("keys", str(number)) for number in range(WRITES_MAX + 1)], [WRITES_MAX, 1]),
    ],
)
def test_runs_keep_the_order_that_means_something(places: list[tuple[str, str]], lengths: list[int]) -> None:
    found = list(runs(entries(*places)))
    assert [len(run) for run in found] == lengths
    assert [entry for run in found for entry in run] == entries(*places)
