from tests.chaos.schedule import CLOCKS, GENTLE, NEVER_LONG, SHORT_S, Kind, draw_schedule


def test_a_seed_decides_all_of_it() -> None:
    assert draw_schedule(7, 600.0, GENTLE) == draw_schedule(7, 600.0, GENTLE)
    assert draw_schedule(7, 600.0, GENTLE) != draw_schedule(8, 600.0, GENTLE)


def test_each_kind_comes_before_any_comes_again() -> None:
    kinds = [step.kind for step in draw_schedule(7, 3600.0, GENTLE)]
    rounds = [kinds[start : start + len(GENTLE)] for start in range(0, len(kinds), len(GENTLE))]
    assert len(rounds) > 5
    assert all(sorted(each) == sorted(GENTLE) for each in rounds[:-1])


def test_it_is_as_long_as_asked() -> None:
    steps = draw_schedule(7, 600.0, GENTLE)
    lengths = [step.seconds + step.pause_s for step in steps]
    assert sum(lengths) >= 600.0 > sum(lengths[:-1])


def test_what_is_over_soon_is_never_long() -> None:
    steps = draw_schedule(7, 7200.0, tuple(Kind))
    assert all(step.seconds <= SHORT_S[1] for step in steps if step.kind in NEVER_LONG)
    assert any(step.seconds > SHORT_S[1] for step in steps)
    assert all(step.seconds <= SHORT_S[1] for step in draw_schedule(7, 7200.0, tuple(Kind), long_share=0.0))


def test_only_clocks_are_set() -> None:
    steps = draw_schedule(7, 7200.0, tuple(Kind))
    assert {step.kind for step in steps if step.ahead_s} == CLOCKS
    assert all(step.ahead_s for step in steps if step.kind in CLOCKS)
