"""Which mirrors are to try again at once."""

import pytest
from nats.js.api import StreamConfig, StreamInfo, StreamSourceInfo, StreamState

from trunkline.runtime.bucket_mirrors import STALLED_AFTER_S, has_stalled


@pytest.mark.parametrize(
    ("active_s", "stalled"),
    [
        (0, False),
        (STALLED_AFTER_S, False),
        (STALLED_AFTER_S + 0.1, True),
        (-1e-9, True),  # as JetStream says never
        (None, False),  # it says nothing of it
    ],
)
def test_mirror_has_stalled(active_s: float | None, stalled: bool) -> None:
    active = None if active_s is None else round(active_s * 1e9)
    source = StreamSourceInfo(name="KV_keys", lag=0, active=active)
    state = StreamState(messages=0, bytes=0, first_seq=0, last_seq=0, consumer_count=0)
    assert has_stalled(StreamInfo(StreamConfig(name="KV_keys"), state, mirror=source)) is stalled


def test_what_is_no_mirror_has_not() -> None:
    state = StreamState(messages=0, bytes=0, first_seq=0, last_seq=0, consumer_count=0)
    assert not has_stalled(StreamInfo(StreamConfig(name="KV_keys"), state))
