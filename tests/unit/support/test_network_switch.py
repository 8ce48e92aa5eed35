import ipaddress

import pytest

from tests.support import network_switch
from tests.support.network_switch import NONE, Switch, Trouble

ADDRESSES = [ipaddress.ip_address(f"10.0.0.{number}").packed for number in (1, 2, 3)]
A, B, C = range(3)


def packet(target: int, content: bytes = b"content") -> bytes:
    return b"\x45" + bytes(11) + ADDRESSES[0] + ADDRESSES[target] + content


@pytest.fixture
def switch() -> Switch:
    return Switch(ADDRESSES, seed=7)


def test_without_trouble_a_packet_arrives_at_once_where_it_says(switch: Switch) -> None:
    assert [switch.receive(A, packet(target), 1.0) for target in (B, C)] == [B, C]
    assert switch.next_due_s() is None
    assert switch.counts() == [(A, B, 1, 0), (A, C, 1, 0)]


@pytest.mark.parametrize("strange", [b"", b"\x60" + bytes(60), packet(B)[:16] + bytes([10, 0, 0, 9])])
def test_what_is_for_no_host_of_ours_goes_nowhere(switch: Switch, strange: bytes) -> None:
    assert switch.receive(A, strange, 1.0) is None
    assert switch.counts() == []


def test_a_cut_has_a_direction(switch: Switch) -> None:
    switch.set(A, B, Trouble(cut=True))
    assert switch.receive(A, packet(B), 1.0) is None
    assert switch.receive(B, packet(A), 1.0) == A
    assert switch.receive(A, packet(C), 1.0) == C
    assert switch.counts() == [(A, B, 0, 1), (A, C, 1, 0), (B, A, 1, 0)]
    switch.set(A, B, NONE)
    assert switch.receive(A, packet(B), 2.0) == B


def test_a_delayed_packet_is_let_go_when_its_time_has_come(switch: Switch) -> None:
    switch.set(A, B, Trouble(delay_s=0.2))
    assert switch.receive(A, packet(B), 1.0) is None
    assert switch.receive(A, packet(C), 1.0) == C
    assert switch.next_due_s() == pytest.approx(1.2)
    assert list(switch.due(1.19)) == []
    assert list(switch.due(1.2)) == [(B, packet(B))]
    assert switch.next_due_s() is None


def test_a_wire_keeps_the_order_when_its_delay_becomes_shorter(switch: Switch) -> None:
    switch.set(A, B, Trouble(delay_s=0.2))
    switch.receive(A, packet(B, b"first"), 1.0)
    switch.set(A, B, NONE)
    assert switch.receive(A, packet(B, b"second"), 1.1) is None
    assert [content[20:] for _, content in switch.due(1.2)] == [b"first", b"second"]
    assert switch.receive(A, packet(B, b"third"), 1.21) == B


def test_held_packets_of_several_wires_come_in_the_order_of_their_times(switch: Switch) -> None:
    switch.set(A, C, Trouble(delay_s=0.2))
    switch.set(B, C, Trouble(delay_s=0.1))
    switch.receive(A, packet(C, b"slow"), 1.0)
    switch.receive(B, packet(C, b"quick"), 1.05)
    assert [content[20:] for _, content in switch.due(2.0)] == [b"quick", b"slow"]


def test_losses_are_as_frequent_as_asked_and_the_same_for_a_seed() -> None:
    def lost(seed: int) -> list[int]:
        switch = Switch(ADDRESSES, seed)
        switch.set(A, B, Trouble(loss=0.05))
        return [number for number in range(4000) if switch.receive(A, packet(B), 1.0) is None]

    first = lost(7)
    assert 150 < len(first) < 250
    assert first == lost(7)
    assert first != lost(8)


def test_losses_of_a_wire_do_not_depend_on_what_others_carry() -> None:
    def lost(others: int) -> list[int]:
        switch = Switch(ADDRESSES, seed=7)
        switch.set(A, B, Trouble(loss=0.5))
        switch.set(B, A, Trouble(loss=0.5))
        found = []
        for number in range(100):
            for _ in range(others):
                switch.receive(B, packet(A), 1.0)
            if switch.receive(A, packet(B), 1.0) is None:
                found.append(number)
        return found

    assert lost(0) == lost(3)


def test_no_more_is_held_than_there_is_room_for(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_switch, "HELD_PACKETS_MAX", 2)
    switch.set(A, B, Trouble(delay_s=1.0))
    for _ in range(3):
        switch.receive(A, packet(B), 1.0)
    assert switch.counts() == [(A, B, 2, 1)]
    assert len(list(switch.due(2.0))) == 2
