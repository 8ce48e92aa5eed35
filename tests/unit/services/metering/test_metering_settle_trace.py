"""What traces say of a settlement: only of what is traced, and nothing where nothing is."""

import msgspec

from services.metering.settle_trace import trace_settled
from tests.support.spans import KeptSpans, attributes
from tests.support.usage_events import MODEL, usage_event
from trunkline.store.settlement import SettledBatch

TRACE = f"00-{0xABC:032x}-{0xDEF:016x}-01"
BATCH = SettledBatch(events=2, duplicates=1, unpriced=0, charge_nano=1, cost_nano=1)


def test_only_what_is_traced_is_told_of() -> None:
    kept = KeptSpans()
    traced = msgspec.structs.replace(usage_event(attempt=3, account=7, key=8, outcome="upstream_cut"), trace=TRACE)
    trace_settled(kept.tracer, [usage_event(), traced, usage_event()], BATCH, 0.5)
    book, settle = kept.ended
    assert attributes(settle) == {"trunkline.events": 2, "trunkline.duplicates": 1}
    assert attributes(book) == {
        "gen_ai.request.model": MODEL,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 50,
        "trunkline.account": 7,
        "trunkline.attempt": 3,
        "trunkline.charged": True,
        "trunkline.key": 8,
        "trunkline.outcome": "upstream_cut",
    }
    assert book.context.trace_id == 0xABC


def test_nothing_is_told_where_nothing_is_traced() -> None:
    kept = KeptSpans()
    trace_settled(kept.tracer, [usage_event(), usage_event()], BATCH, 0.5)
    assert kept.ended == []
