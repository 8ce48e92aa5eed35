import os

import pytest

from bench.processes import (
    TICKS_PER_S,
    Cost,
    Memory,
    ProcessGoneError,
    Reading,
    Watch,
    cpu_s,
    descendants,
    others_share,
    parse_machine,
    parse_rollup,
    parse_stat,
    read_stat,
    spent,
)

PID_BEYOND_ALL = 2**22 + 1
"""The kernel gives no process id above 2²²."""


def test_a_name_with_spaces_and_brackets_does_not_shift_the_fields() -> None:
    # Fields as in proc(5): utime and stime are the 14th and 15th, of ended children the 16th and 17th.
    text = "42 (a) b (c) S 7 " + " ".join(str(number) for number in range(5, 30))
    stat = parse_stat(text)
    assert stat.parent == 7
    assert stat.user_s == 14 / TICKS_PER_S
    assert stat.system_s == 15 / TICKS_PER_S
    assert stat.reaped_s == (16 + 17) / TICKS_PER_S


def test_waiting_is_no_use_of_the_machine() -> None:
    assert parse_machine("cpu  100 10 50 99999 77777 3 2 0 0 0\ncpu0 1 2 3\n") == 165 / TICKS_PER_S


def test_memory_is_in_bytes() -> None:
    text = "7f00-7fff ---p 00000000 00:00 0 [rollup]\nRss:    2048 kB\nPss:     512 kB\nPss_Dirty: 1 kB\n"
    assert parse_rollup(text) == Memory(rss=2048 * 1024, pss=512 * 1024)


def test_descendants_are_followed_to_the_end() -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 11, 20: 1, 21: 20}
    assert descendants(parents, [10]) == {10, 11, 12}
    assert descendants(parents, [11, 20]) == {11, 12, 20, 21}


def test_others_are_what_neither_roles_nor_the_benchmark_used() -> None:
    before = Reading(10.0, {"edge": Cost(1.0, 0.0, 0.0)}, machine_s=100.0, own_s=5.0)
    after = Reading(12.0, {"edge": Cost(2.0, 0.0, 0.0)}, machine_s=103.0, own_s=5.5)
    assert spent(before, after) == {"edge": 1.0}
    assert others_share(before, after) == pytest.approx(0.75)


def test_a_process_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ProcessGoneError):
        read_stat(PID_BEYOND_ALL)
    with pytest.raises(ProcessGoneError):
        cpu_s(PID_BEYOND_ALL)
    with pytest.raises(ProcessGoneError):
        Watch({"edge": [PID_BEYOND_ALL]}).read()


def test_the_clock_of_a_process_agrees_with_its_ticks() -> None:
    stat = read_stat(os.getpid())
    # Ticks are rounded down, each of two numbers to a hundredth of a second.
    assert cpu_s(os.getpid()) == pytest.approx(stat.user_s + stat.system_s, abs=0.05)


def test_a_watch_reads_the_processes_it_was_given() -> None:
    watch = Watch({"tests": [os.getpid()]})
    assert watch.read().roles["tests"].cpu_s > 0
    assert watch.memory()["tests"].rss > 1024 * 1024
