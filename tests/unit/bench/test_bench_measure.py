from bench.measure import CALM_SHARE, CALM_SLOWED, Disturbance, sum_us, units_of
from bench.orders import Outcome, Timing
from bench.results import RoleCost
from bench.speed import Speed
from bench.workloads import plain, stream

NOTHING = Timing(0.0, 0.0, 0.0)


def outcome(answered: int, events: int) -> Outcome:
    return Outcome(
        answered=answered,
        failures={},
        events=events,
        elapsed_s=1.0,
        cpu_s=0.1,
        whole=NOTHING,
        first=NOTHING,
        gap=NOTHING,
        late=NOTHING,
    )


def test_a_plain_load_counts_answers_and_a_stream_its_content() -> None:
    assert units_of(plain(1, 1.0), outcome(answered=7, events=0)) == 7
    assert units_of(stream(1, 1.0, chunks=5), outcome(answered=2, events=16)) == 10


def test_roles_that_are_not_there_add_nothing() -> None:
    costs = {"edge": RoleCost(10.0, 0.0), "nats": RoleCost(5.0, 0.0), "upstream": RoleCost(99.0, 0.0)}
    assert sum_us(costs, ("edge", "nats", "postgres")) == 15.0


def test_either_disturbance_is_enough() -> None:
    assert Disturbance(others=CALM_SHARE, slowed=CALM_SLOWED).calm
    assert not Disturbance(others=CALM_SHARE + 0.01, slowed=0.0).calm
    assert not Disturbance(others=0.0, slowed=CALM_SLOWED + 0.01).calm


def test_no_machine_is_faster_than_at_its_fastest() -> None:
    speed = Speed()
    assert all(speed.slowed() >= 0.0 for _ in range(2))
