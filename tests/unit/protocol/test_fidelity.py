"""The fidelity table and the one place where it is applied."""

import pytest

from trunkline.core.errors import ErrorType, FaultError
from trunkline.protocol.fidelity import NAMES_MAX, TABLE, Crossing, Feature, Mark
from trunkline.protocol.names import ANTHROPIC, CONVERSATIONAL, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES


def test_each_feature_has_a_row_and_each_row_says_what_a_degraded_one_becomes() -> None:
    assert set(TABLE) == set(Feature)
    for row in TABLE.values():
        assert set(row.marks) <= set(CONVERSATIONAL)
        if {Mark.DEGRADED, Mark.HINT} & set(row.marks.values()):
            assert row.becomes, row.feature


def test_what_is_refused_has_the_fields_name_of_each_dialect_that_can_ask_for_it() -> None:
    for row in TABLE.values():
        if Mark.REFUSED in row.marks.values():
            assert row.fields, row.feature


def test_a_hint_is_dropped_and_named() -> None:
    crossing = Crossing(OPENAI_CHAT, ANTHROPIC)
    crossing.lose(Feature.SEED)
    crossing.lose(Feature.SEED)
    crossing.lose(Feature.TEMPERATURE_OVER_ONE)
    assert crossing.header() == "degraded=temperature_over_one; dropped=seed"


def test_what_would_change_the_meaning_is_refused_with_the_clients_own_field() -> None:
    crossing = Crossing(GEMINI, ANTHROPIC)
    with pytest.raises(FaultError) as raised:
        crossing.lose(Feature.CHOICES)
    fault = raised.value.fault
    assert (fault.type, fault.param) == (ErrorType.CLIENT_BAD_REQUEST, "generationConfig.candidateCount")
    assert "`generationConfig.candidateCount`" in fault.message


def test_a_more_exact_field_wins_over_the_rows() -> None:
    crossing = Crossing(OPENAI_CHAT, OPENAI_RESPONSES)
    crossing.lose_all((), ("min_p", "provider"))
    assert crossing.header() == "dropped=min_p,provider"
    with pytest.raises(FaultError) as raised:
        crossing.lose(Feature.STOP, "stop.0")
    assert raised.value.fault.param == "stop.0"


def test_losing_what_the_table_calls_lossless_is_a_bug_that_shows() -> None:
    with pytest.raises(AssertionError, match="lossless"):
        Crossing(OPENAI_CHAT, OPENAI_CHAT).lose(Feature.SEED)


def test_a_clients_own_words_cannot_break_the_header() -> None:
    crossing = Crossing(OPENAI_CHAT, ANTHROPIC)
    crossing.lose_all((), ("a\r\nset-cookie: x", "é" * 1000))
    assert crossing.header() == "dropped=a__set-cookie__x," + "_" * 64


def test_the_header_is_bounded() -> None:
    crossing = Crossing(OPENAI_CHAT, ANTHROPIC)
    crossing.lose_all((), [f"field_{number}" for number in range(NAMES_MAX + 5)])
    assert crossing.header().count(",") == NAMES_MAX - 1
