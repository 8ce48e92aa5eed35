"""A whole answer that does not fit one frame: what it used is told with its head, so that its cost can be."""

import msgspec

from tests.support.job_scripts import HEAD, USAGE, envelope
from trunkline.bus import frames, messages
from trunkline.bus.dispatch_job import DispatchJob
from trunkline.bus.frames import Kind
from trunkline.bus.messages import End
from trunkline.core import limits
from trunkline.core.ids import JobIDMint


def first_frame(data: bytes) -> tuple[Kind, messages.Head]:
    opened = msgspec.structs.replace(envelope(), body_bytes=0)
    job = DispatchJob("dispatcher-1", JobIDMint(1).mint(0), 0, opened, b"", version=1)
    frame = frames.decode(job.whole(HEAD, End(USAGE, 7), data)[0])
    return frame.kind, messages.decode_head(frames.split_parts(frame.payload)[0])


def test_a_long_one_tells_its_usage_first_and_a_short_one_with_its_end() -> None:
    assert first_frame(b"x" * (limits.DATA_BYTES_MAX + 1)) == (Kind.HEAD, msgspec.structs.replace(HEAD, usage=USAGE))
    assert first_frame(b"x") == (Kind.WHOLE, HEAD)
