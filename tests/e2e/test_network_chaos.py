"""`make chaos` for three minutes: eleven faults, shortly. A rolling restart is none: test_fault_restarts has that."""

import pytest

from tests.chaos.faults import possible
from tests.chaos.run import Say, run
from tests.chaos.schedule import GENTLE, Kind, draw_schedule
from tests.support.network import why_unavailable

pytestmark = [
    pytest.mark.patient,
    pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable()),
]

SEED = 20_261_389
"""It draws clocks that are set, brokers that are split or killed, and metering without Postgres, among others."""

KINDS = tuple(kind for kind in GENTLE if kind is not Kind.ROLLING)
DURATION_S = 110.0


def test_promises_hold_whatever_breaks() -> None:
    say = Say()
    broken = run(SEED, draw_schedule(SEED, DURATION_S, possible(KINDS), long_share=0.0), say)
    assert not broken, "\n".join([*broken, *say.lines])
