"""How old the oldest unsettled usage is, told from numbers alone."""

from services.metering.intake import Queue
from services.metering.queue_age import QueueAge


def queue(settled: int, published: int) -> Queue:
    return Queue(published - settled, settled, published)


def test_nothing_waits() -> None:
    age = QueueAge()
    assert [age.age_s(queue(number, number), now) for now, number in enumerate((0, 5, 9))] == [0.0, 0.0, 0.0]


def test_it_grows_while_what_was_there_is_not_settled() -> None:
    age = QueueAge()
    assert age.age_s(queue(0, 10), 100.0) == 0.0
    assert age.age_s(queue(4, 30), 130.0) == 30.0
    assert age.age_s(queue(9, 90), 160.0) == 60.0


def test_it_begins_anew_when_that_is_settled() -> None:
    age = QueueAge()
    age.age_s(queue(0, 10), 100.0)
    assert age.age_s(queue(10, 50), 160.0) == 0.0
    assert age.age_s(queue(49, 80), 165.0) == 5.0
    assert age.age_s(queue(50, 80), 166.0) == 0.0


def test_an_empty_queue_forgets_what_was() -> None:
    age = QueueAge()
    age.age_s(queue(0, 10), 100.0)
    assert age.age_s(queue(10, 10), 150.0) == 0.0
    assert age.age_s(queue(10, 11), 200.0) == 0.0
    assert age.age_s(queue(10, 12), 203.0) == 3.0


def test_a_stream_that_was_made_anew_begins_with_small_numbers() -> None:
    age = QueueAge()
    age.age_s(queue(990, 1000), 100.0)
    assert age.age_s(queue(0, 3), 160.0) == 0.0
    assert age.age_s(queue(2, 5), 165.0) == 5.0
    assert age.age_s(queue(3, 5), 169.0) == 0.0
