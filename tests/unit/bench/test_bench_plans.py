"""The benchmark of plans measures what it says."""

import pytest

from bench import plans
from trunkline.bus.snapshots import Strategy


def test_every_strategy_is_measured_at_every_size_and_the_table_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "PLANS", 5)
    monkeypatch.setattr(plans, "ROUNDS", 1)
    found = list(plans.costs())
    assert [(cost.channels, cost.strategy) for cost in found] == [(n, s) for n in plans.SIZES for s in Strategy]
    assert all(cost.job_us > 0 and cost.conversation_us > 0 for cost in found)
    shown = plans.text(found)
    assert shown.count("\n") == len(plans.SIZES) + 3
    assert f"{found[-1].job_us:.1f} | {found[-1].conversation_us:.1f} |" in shown
