"""What the gateway makes of each dialect's requests and answers is what the golden files say, byte for byte."""

import pytest

from tests.interop.event_laws import blocks, broken_laws, said
from tests.interop.golden_files import (
    CASES,
    ROOT,
    Golden,
    all_golden,
    on_disk,
    read_answer,
    read_request,
    read_stream,
    stale,
    write_request,
)
from trunkline.core.errors import FaultError
from trunkline.protocol import names
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import UsageReport
from trunkline.protocol.registry import RELAYS
from trunkline.protocol.vendor import DEFAULTS

ALL = all_golden()
OTHERS = 3
GENERATED_COUNT = 3 + 3 * OTHERS

every_case = pytest.mark.parametrize("case", ALL, ids=str)


@every_case
def test_translations_are_those_of_the_golden_files(case: Golden) -> None:
    found = [path.name for path in stale(case)]
    assert not found, f"{case}: if this is meant, `make golden` writes these files anew, and git shows what changed"
    assert len(on_disk(case)) == GENERATED_COUNT


def test_there_is_no_folder_that_nothing_compares() -> None:
    folders = {str(path.relative_to(ROOT)) for path in ROOT.glob("*/*")}
    assert folders == {str(case) for case in ALL}
    assert len(folders) == len(names.CONVERSATIONAL) * len(CASES)


@every_case
def test_the_same_request_is_translated_into_the_same_bytes(case: Golden) -> None:
    for other in set(names.CONVERSATIONAL) - {case.dialect}:
        assert _written(case, other) == _written(case, other)


def _written(case: Golden, upstream: str) -> Written | None:
    try:
        return write_request(read_request(case.dialect, case.request), case.dialect, upstream)[0]
    except FaultError:
        return None


@every_case
def test_a_whole_answer_says_what_its_stream_says(case: Golden) -> None:
    streamed, whole = read_stream(case.dialect, [case.stream]), read_answer(case.dialect, case.answer)
    assert blocks(whole) == blocks(streamed)
    assert said(whole) == said(streamed)
    assert broken_laws(streamed) == broken_laws(whole) == []


@every_case
def test_chunks_may_be_cut_anywhere(case: Golden) -> None:
    cut = [case.stream[at : at + 7] for at in range(0, len(case.stream), 7)]
    assert blocks(read_stream(case.dialect, cut)) == blocks(read_stream(case.dialect, [case.stream]))


@every_case
def test_a_relay_passes_the_bytes_and_reads_the_same_usage(case: Golden) -> None:
    relay = RELAYS[case.dialect].relay(public_model=None, hide_usage=False, array=False, options=DEFAULTS)
    passed = relay.receive(case.stream) + relay.finish()
    assert passed == case.stream
    assert relay.complete
    assert relay.error is None
    reports = [event.units for event in read_stream(case.dialect, [case.stream]) if isinstance(event, UsageReport)]
    assert relay.units == reports[-1]
    assert RELAYS[case.dialect].read_whole(case.answer).units == reports[-1]
