"""Whatever the bus loses, repeats, delays or reorders, and whoever dies: a job ends exactly once, and right."""

import random
from unittest import mock

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.bus_world import DEADLINE_S, SMALL_LIMITS, STEP_S, World
from tests.support.examples import examples
from trunkline.bus import frames
from trunkline.bus.edge_commands import Abort, Finish, Forget, Settle
from trunkline.bus.edge_job import DEADLINE_SLACK_S, EdgeState
from trunkline.bus.frames import Credit, Frame, FrameError, Kind
from trunkline.core import limits
from trunkline.core.errors import ErrorType
from trunkline.core.ids import JobID

NUMBERS = st.lists(st.integers(0, 11), max_size=150)


def run(numbers: list[int], dispatchers: int, *, mishaps: bool = True) -> World:
    world = World(numbers, dispatchers, mishaps=mishaps)
    with mock.patch.multiple(limits, **SMALL_LIMITS):
        world.run()
    return world


def check(world: World) -> None:
    assert len(world.ends) == 1
    assert len(world.settled) == 1
    check_settled(world, world.settled[0])
    assert world.now <= DEADLINE_S + DEADLINE_SLACK_S + STEP_S
    assert world.job.state is EdgeState.ENDED
    answer = world.offers_run.get((world.job.dispatcher or "", world.job.offer_no), b"")
    match world.ends[0]:
        case Finish():
            assert world.written == answer
        case Abort() | Forget():
            assert answer.startswith(world.written)


def check_settled(world: World, settled: Settle) -> None:
    """What is told of the use is that of the last offer, and of its whole answer where the client got that."""
    offer, number = world.job.offer_no, settled.usage_no
    if settled.usage is not None:
        assert number // 16 == 1 + offer
        assert (f"d{number % 16}", offer) in world.offers_run
    if isinstance(world.ends[0], Finish):
        assert settled.usage is not None


@settings(max_examples=examples(4), deadline=None)
@given(numbers=NUMBERS, dispatchers=st.integers(1, 3))
def test_a_job_ends_exactly_once_and_its_answer_is_whole(numbers: list[int], dispatchers: int) -> None:
    check(run(numbers, dispatchers))


def test_long_courses() -> None:
    """Longer than what is drawn above, and without its leaning to short ones."""
    for seed in range(1500):
        draw = random.Random(seed)
        trouble = draw.random()
        numbers = [draw.randrange(12) if draw.random() < trouble else 0 for _ in range(draw.randrange(250))]
        check(run(numbers, draw.randrange(1, 4)))


@given(dispatchers=st.integers(1, 3), numbers=st.lists(st.integers(0, 4), max_size=80))
@settings(max_examples=examples(4), deadline=None)
def test_on_a_good_bus_every_job_that_was_taken_is_answered_and_settled(numbers: list[int], dispatchers: int) -> None:
    """Nothing is lost and nobody dies: reading slowly, working at odd times and leaving do no harm."""
    world = run(numbers, dispatchers, mishaps=False)
    settled = world.settled[0]
    assert not settled.lost
    match world.ends[0]:
        case Finish():
            assert len(world.offers_run) == 1
        case Abort(fault):
            assert fault.type in {ErrorType.GATEWAY_BUSY, ErrorType.UPSTREAM_CUT}
            assert (settled.usage is not None) is (fault.type is ErrorType.UPSTREAM_CUT)
        case Forget() if world.written:
            assert settled.usage is not None


@given(numbers=NUMBERS)
@example(numbers=[])
@settings(max_examples=examples(0.5), deadline=None)
def test_without_dispatchers_a_job_is_refused(numbers: list[int]) -> None:
    world = run(numbers, 0)
    assert isinstance(world.ends[0], Abort | Forget)
    assert world.written == b""


# --- the wire format -------------------------------------------------------------------------------------------

FRAMES = st.builds(
    Frame,
    version=st.integers(frames.OLDEST_READ, frames.NEWEST_READ),
    kind=st.sampled_from(Kind),
    offer=st.integers(0, 2**16 - 1),
    job=st.binary(min_size=16, max_size=16).map(JobID),
    seq=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=64),
)


@given(FRAMES)
def test_frames_survive_the_wire(frame: Frame) -> None:
    assert frames.decode(frames.encode(*frame)) == frame


@given(FRAMES, st.integers(0, 100), st.integers(1, 255), st.integers(0, 100))
def test_mutated_frames_are_read_or_refused(frame: Frame, position: int, change: int, cut: int) -> None:
    mutated = bytearray(frames.encode(*frame))
    mutated[position % len(mutated)] ^= change
    message = bytes(mutated[: max(0, len(mutated) - cut)])
    try:
        read = frames.decode(message)
    except FrameError:
        read_here = range(frames.OLDEST_READ, frames.NEWEST_READ + 1)
        assert len(message) < frames.HEADER_BYTES or message[0] not in read_here or message[1] not in set(Kind)
    else:
        assert frames.encode(*read) == message


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    for read in (frames.decode, frames.decode_credit, frames.split_parts):
        try:
            read(message)
        except FrameError as error:
            assert str(error)  # noqa: PT017 - the only error there may be, and it says something


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.booleans())
def test_credits_survive_the_wire(total: int, expects: int, sync: bool) -> None:
    credit = Credit(total, expects, sync)
    assert frames.decode_credit(frames.encode_credit(credit)) == credit


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_parts_survive_the_wire(head: bytes, rest: bytes) -> None:
    assert frames.split_parts(frames.join_parts(head, rest)) == (head, rest)
