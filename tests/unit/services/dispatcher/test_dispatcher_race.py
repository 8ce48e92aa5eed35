"""What calls of one job hear of each other, in orders that a running stack seldom shows."""

from services.dispatcher.job_entry import JobEntry
from tests.support.job_scripts import JOB, envelope
from trunkline.bus.dispatch_job import DispatchJob
from trunkline.runtime.memory_bus import MemoryBroker


class Call:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def resume(self) -> None:
        self.told.append("resume")

    def cancel(self) -> None:
        self.told.append("cancel")

    def outrun(self) -> None:
        self.told.append("outrun")


def job() -> JobEntry:
    return JobEntry(DispatchJob("d1", JOB, 0, envelope(), b"hello", version=1), MemoryBroker().connect("d1"), 600.0)


async def test_the_first_to_answer_closes_the_other() -> None:
    entry, first, second = job(), Call(), Call()
    entry.began(first)
    entry.began(second)
    entry.won(second)
    assert (first.told, second.told) == (["outrun"], [])


async def test_one_that_begins_a_moment_after_the_answer_is_closed_at_once() -> None:
    entry, first, second = job(), Call(), Call()
    entry.began(first)
    entry.won(first)
    entry.began(second)
    assert (first.told, second.told) == ([], ["outrun"])


async def test_one_that_begins_anew_after_the_answer_hears_of_it() -> None:
    entry, first, second = job(), Call(), Call()
    for call in (first, second):
        entry.began(call)
    entry.tell(second)
    assert second.told == []
    entry.won(first)
    entry.tell(second)
    entry.tell(first)
    assert (first.told, second.told) == ([], ["outrun", "outrun"])


async def test_one_that_begins_after_the_client_has_left_is_closed_at_once() -> None:
    entry, first, second = job(), Call(), Call()
    entry.began(first)
    entry.cancel()
    entry.began(second)
    assert (first.told, second.told) == (["cancel"], ["cancel"])


async def test_a_call_that_is_over_outruns_nobody() -> None:
    entry, first, rest = job(), Call(), Call()
    entry.began(first)
    entry.won(first)
    entry.over(first)
    entry.began(rest)  # it goes on with the answer that the first began
    entry.won(rest)
    assert (first.told, rest.told) == ([], [])
