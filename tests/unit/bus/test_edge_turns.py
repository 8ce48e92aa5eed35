"""Edges that wait for a dispatcher's room, and what each is told of it."""

from trunkline.bus.edge_turns import PROMISE_FAR_S, PROMISE_S, EdgeTurns


def test_nobody_waits_and_nobody_is_told() -> None:
    assert EdgeTurns().share(10, 0.0) == []


def test_edges_are_told_in_turn_and_once() -> None:
    turns = EdgeTurns()
    for edge in ("e1", "e2", "e3"):
        turns.waits(edge, 5)
    assert turns.share(1, 0.0) == [("e1", 1)]
    turns.offered("e1")
    turns.waits("e1", 4)  # more wait there: behind the others
    assert turns.share(1, 0.1) == [("e2", 1)]
    turns.offered("e2")
    assert turns.share(1, 0.2) == [("e3", 1)]
    turns.offered("e3")
    assert turns.share(1, 0.3) == [("e1", 1)]
    turns.offered("e1")
    assert (turns.share(1, 0.4), len(turns)) == ([], 0)


def test_who_waits_already_keeps_its_turn() -> None:
    turns = EdgeTurns()
    turns.waits("e1", 1)
    turns.waits("e2", 1)
    turns.waits("e1", 9)
    turns.waits("e1", 2)
    assert turns.share(10, 0.0) == [("e1", 5), ("e2", 1)]


def test_much_room_is_shared_evenly_as_far_as_it_is_wanted() -> None:
    turns = EdgeTurns()
    turns.waits("e1", 2)
    turns.waits("e2", 100)
    turns.waits("e3", 100)
    assert turns.share(30, 0.0) == [("e1", 2), ("e2", 14), ("e3", 14)]


def test_what_was_told_is_not_told_to_others_until_it_is_used_or_its_time_is_over() -> None:
    turns = EdgeTurns()
    turns.waits("e1", 3)
    assert turns.share(3, 0.0) == [("e1", 3)]
    turns.waits("e2", 9)
    assert turns.share(3, 0.01) == []
    turns.offered("e1")  # taken: the room is two now
    assert turns.share(2, 0.02) == []
    assert turns.share(3, 0.03) == [("e2", 1)]  # another one has come up
    turns.waits("e2", 8)
    assert turns.share(2, PROMISE_S) == [("e2", 1)]  # the first edge has not used the rest of it
    turns.offered("e9")  # was told nothing


def test_a_lost_edge_holds_nothing() -> None:
    turns = EdgeTurns()
    turns.waits("e1", 1)
    turns.waits("e2", 1)
    assert turns.share(1, 0.0) == [("e1", 1)]
    turns.forget("e1")
    turns.forget("e2")
    turns.forget("e3")
    assert len(turns) == 0
    turns.waits("e4", 1)
    assert turns.share(1, 0.0) == [("e4", 1)]


def test_edges_of_other_regions_are_told_of_what_is_left() -> None:
    turns = EdgeTurns()
    turns.waits("f1", 3, far=True)
    turns.waits("e1", 2)
    turns.waits("f2", 9, far=True)
    assert len(turns) == 3
    assert turns.share(1, 0.0) == [("e1", 1)]
    turns.offered("e1")
    turns.waits("e1", 1)
    assert turns.share(7, 0.0) == [("e1", 1), ("f1", 3), ("f2", 3)]


def test_what_was_told_afar_counts_as_taken_for_longer() -> None:
    turns = EdgeTurns()
    turns.waits("f1", 1, far=True)
    turns.waits("f2", 1, far=True)
    assert turns.share(1, 0.0) == [("f1", 1)]
    assert turns.share(1, PROMISE_S + 0.01) == []
    turns.waits("e1", 1)
    assert turns.share(1, PROMISE_FAR_S - 0.01) == []
    assert turns.share(1, PROMISE_FAR_S) == [("e1", 1)]


def test_an_edge_afar_that_is_gone_is_forgotten() -> None:
    turns = EdgeTurns()
    turns.waits("f1", 1, far=True)
    turns.forget("f1")
    assert (len(turns), turns.share(1, 0.0)) == (0, [])
