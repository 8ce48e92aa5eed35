"""Courses of offers at one dispatcher: what it says to each, and what it remembers."""

import dataclasses

import pytest

from trunkline.bus.job_table import DelayGauge, JobTable, Verdict
from trunkline.core import limits
from trunkline.core.ids import JobID

A, B, C = (JobID(bytes([number]) * 16) for number in range(3))


@dataclasses.dataclass
class Entry:
    """A job in hand."""

    offer: int


@dataclasses.dataclass
class Playbook:
    """Offers jobs to one table; each step says what must come of it."""

    table: JobTable[Entry] = dataclasses.field(default_factory=lambda: JobTable(jobs_max=2, body_bytes_max=100))
    entries: dict[tuple[JobID, int], tuple[Entry, int]] = dataclasses.field(default_factory=dict)
    now: float = 0.0

    def at(self, now: float) -> "Playbook":
        self.now = now
        self.table.sweep(now)
        return self

    def offer(
        self,
        job: JobID,
        offer: int,
        verdict: Verdict,
        *,
        body_bytes: int = 10,
        delay_s: float = 0.0,
        patience_s: float = 1.0,
    ) -> "Playbook":
        found = self.table.judge(job, offer, body_bytes, delay_s=delay_s, patience_s=patience_s, now=self.now)
        assert found is verdict
        if verdict is Verdict.TAKE:
            entry = Entry(offer)
            self.entries[job, offer] = entry, body_bytes
            self.table.add(job, entry, body_bytes)
        return self

    def end(self, job: JobID, offer: int) -> "Playbook":
        entry, body_bytes = self.entries.pop((job, offer))
        self.table.remove(job, entry, body_bytes, self.now)
        return self

    def withdraw(self, job: JobID, offer: int, *, hits: int | None = None) -> "Playbook":
        found = self.table.withdraw(job, offer, self.now)
        assert (None if found is None else found.offer) == hits
        return self

    def holds(self, *jobs: tuple[JobID, int]) -> "Playbook":
        assert sorted(entry.offer for entry in self.table.entries()) == sorted(offer for _, offer in jobs)
        for job, offer in jobs:
            entry = self.table.get(job)
            assert entry is not None
            assert entry.offer == offer
        assert len(self.table) == len(jobs)
        return self


def test_takes_until_full_and_again_when_there_is_room() -> None:
    play = Playbook().offer(A, 0, Verdict.TAKE).offer(B, 0, Verdict.TAKE).offer(C, 0, Verdict.FULL)
    assert play.table.room == 0
    play.end(A, 0).offer(C, 1, Verdict.TAKE).holds((B, 0), (C, 1))


def test_bodies_are_bounded_over_all_jobs() -> None:
    play = Playbook().offer(A, 0, Verdict.TAKE, body_bytes=60).offer(B, 0, Verdict.FULL, body_bytes=41)
    play.offer(B, 0, Verdict.TAKE, body_bytes=40).end(A, 0).end(B, 0).offer(C, 0, Verdict.TAKE, body_bytes=100)


def test_a_copy_is_ignored_while_the_job_runs_and_after_it() -> None:
    play = Playbook().offer(A, 1, Verdict.TAKE).offer(A, 1, Verdict.DUPLICATE).offer(A, 0, Verdict.DUPLICATE)
    play.end(A, 1).offer(A, 1, Verdict.WITHDRAWN).offer(A, 0, Verdict.WITHDRAWN)
    play.at(limits.TOMBSTONE_S - 0.01).offer(A, 1, Verdict.WITHDRAWN)
    play.offer(A, 1, Verdict.WITHDRAWN, delay_s=limits.TOMBSTONE_S)
    play.at(limits.TOMBSTONE_S).offer(A, 1, Verdict.LATE, delay_s=limits.TOMBSTONE_S)


def test_a_copy_is_ignored_rather_than_refused_when_there_is_no_room() -> None:
    play = Playbook().offer(A, 0, Verdict.TAKE).offer(B, 0, Verdict.TAKE)
    play.offer(A, 0, Verdict.DUPLICATE)
    play.table.draining = True
    play.offer(A, 0, Verdict.DUPLICATE).offer(C, 0, Verdict.DRAINING)
    assert play.table.room == 0


def test_a_later_offer_replaces_the_job_in_hand() -> None:
    play = Playbook().offer(A, 0, Verdict.TAKE).offer(A, 1, Verdict.TAKE).holds((A, 1))
    play.end(A, 0).holds((A, 1)).offer(A, 1, Verdict.DUPLICATE).offer(A, 0, Verdict.DUPLICATE)
    play.end(A, 1).holds().offer(A, 1, Verdict.WITHDRAWN).offer(A, 2, Verdict.TAKE)
    play.end(A, 2).offer(B, 0, Verdict.TAKE, body_bytes=100)


def test_a_withdrawal_that_comes_first_is_remembered() -> None:
    play = Playbook().withdraw(A, 1).offer(A, 0, Verdict.WITHDRAWN).offer(A, 1, Verdict.WITHDRAWN)
    play.offer(A, 2, Verdict.TAKE)


def test_a_withdrawal_finds_the_job_it_means() -> None:
    play = Playbook().offer(A, 1, Verdict.TAKE)
    play.withdraw(A, 0).withdraw(B, 5).withdraw(A, 1, hits=1).withdraw(A, 2, hits=1)


def test_an_older_withdrawal_does_not_weaken_a_newer_one() -> None:
    play = Playbook().withdraw(A, 3).withdraw(A, 1).offer(A, 3, Verdict.WITHDRAWN).offer(A, 4, Verdict.TAKE)
    play.withdraw(A, 2).end(A, 4).offer(A, 4, Verdict.WITHDRAWN)


def test_memories_expire_in_their_order() -> None:
    play = Playbook().withdraw(A, 0).at(1.0).withdraw(B, 0).at(2.0).withdraw(A, 0)
    play.at(6.5).offer(B, 0, Verdict.TAKE).offer(A, 0, Verdict.WITHDRAWN)
    play.at(7.0).offer(A, 0, Verdict.TAKE)


@pytest.mark.parametrize(
    ("patience_s", "delay_s", "verdict"),
    [(1.0, 0.5, Verdict.TAKE), (1.0, 0.501, Verdict.LATE), (2.0, 1.0, Verdict.TAKE), (2.0, 1.001, Verdict.LATE)],
)
def test_an_offer_is_dropped_after_half_of_the_time_that_it_stands(
    patience_s: float, delay_s: float, verdict: Verdict
) -> None:
    Playbook().offer(A, 0, verdict, delay_s=delay_s, patience_s=patience_s)


def test_a_late_offer_is_dropped_rather_than_refused() -> None:
    play = Playbook().offer(A, 0, Verdict.TAKE).offer(B, 0, Verdict.TAKE).offer(C, 0, Verdict.LATE, delay_s=1.0)
    play.table.draining = True
    play.offer(C, 0, Verdict.LATE, delay_s=1.0)


# --- delays without common clocks ------------------------------------------------------------------------------


@pytest.mark.parametrize("skew_ms", [0, 86_400_000, -86_400_000])
def test_the_fastest_message_sets_the_measure(skew_ms: int) -> None:
    gauge = DelayGauge()
    delays = [gauge.delay_s(1000 * n, 1000 * n + late_ms + skew_ms, float(n)) for n, late_ms in enumerate((30, 5, 905))]
    assert delays == [0.0, 0.0, pytest.approx(0.9)]


def test_a_change_of_the_clocks_is_learnt_within_two_windows() -> None:
    gauge = DelayGauge()

    def delay_at(second: int, step_ms: int) -> float:
        return gauge.delay_s(1000 * second, 1000 * second + step_ms, float(second))

    assert delay_at(0, 5) == 0.0
    assert delay_at(30, 2005) == pytest.approx(2.0)
    assert [round(delay_at(second, 2005), 3) for second in (61, 100, 122)] == [2.0, 2.0, 0.0]
    assert delay_at(130, 3005) == pytest.approx(1.0)


def test_each_edge_has_its_own_measure_until_it_is_forgotten() -> None:
    table: JobTable[Entry] = JobTable(jobs_max=1, body_bytes_max=1)
    assert table.delay_s("e1", 0, 5, 0.0) == 0.0
    assert table.delay_s("e2", 0, 5000, 0.0) == 0.0
    assert table.delay_s("e1", 0, 1005, 0.0) == pytest.approx(1.0)
    table.forget_edge("e1")
    table.forget_edge("e1")
    assert table.delay_s("e1", 0, 1005, 0.0) == 0.0
