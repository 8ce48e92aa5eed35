"""In what order a client tries the servers of NATS that it knows."""

from collections import Counter

from trunkline.bus.nats_wire import ServerInfo
from trunkline.runtime.nats_servers import ServerRound, parse_servers

SERVERS = parse_servers("nats://u:p@a:1,nats://u:p@b:2,nats://u:p@c:3")
CLIENTS = 300


def test_clients_begin_evenly_at_all_servers() -> None:
    first = Counter(ServerRound(SERVERS, f"edge-{number}").order(None)[0].host for number in range(CLIENTS))
    assert set(first) == {"a", "b", "c"}
    assert max(first.values()) < 1.25 * CLIENTS / 3


def test_after_a_loss_they_go_evenly_to_the_others_and_try_the_lost_one_last() -> None:
    orders = [ServerRound(SERVERS, f"edge-{number}").order(SERVERS[0]) for number in range(CLIENTS)]
    assert {order[-1] for order in orders} == {SERVERS[0]}
    first = Counter(order[0].host for order in orders)
    assert set(first) == {"b", "c"}
    assert max(first.values()) < 1.25 * CLIENTS / 2


def test_all_servers_are_tried_in_the_order_that_the_name_gives() -> None:
    known, again = ServerRound(SERVERS, "edge-1"), ServerRound(SERVERS, "edge-1")
    orders = [known.order(None) for _ in range(4)]
    assert orders == [again.order(None) for _ in range(4)]
    assert [sorted(order) for order in orders] == [SERVERS] * 4


def test_other_nodes_of_the_cluster_are_learnt_once_with_the_same_way_to_sign_in() -> None:
    known = ServerRound(SERVERS[:1], "edge-1")
    for _ in range(2):
        known.learn(ServerInfo(connect_urls=("a:1", "10.0.0.2:4222", "[fd00::1]:4222", "unreadable")), SERVERS[0])
    found = {(each.host, each.port, each.user, each.password, each.certified_as) for each in known.order(None)}
    assert found == {
        ("a", 1, "u", "p", ""),
        ("10.0.0.2", 4222, "u", "p", "a"),
        ("fd00::1", 4222, "u", "p", "a"),
    }
