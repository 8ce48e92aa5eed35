"""What NetworkPolicies allow, read as the Kubernetes documentation says: who may open which port of whom.

https://kubernetes.io/docs/concepts/services-networking/network-policies/: a pod that no policy of a direction selects
may do everything in it; one that some select may do what any of them allows. A connection needs both ends.
"""

import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping

from tests.support.manifests import NAMESPACE, Manifest


@dataclasses.dataclass(frozen=True)
class End:
    """One end of a connection.

    Attributes:
        name: for people.
        namespace: None for what is no pod.
        labels: of the pod.
        address: of the host.
    """

    name: str
    namespace: str | None = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    address: str = "10.1.2.3"


def allowed(policies: Iterable[Manifest], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Return whether ``source`` may open ``port`` of ``target``."""
    policies = list(policies)
    out = _direction(policies, source, target, ("Egress", "egress", "to"), (protocol, port))
    return out and _direction(policies, target, source, ("Ingress", "ingress", "from"), (protocol, port))


def _direction(
    policies: list[Manifest], own: End, other: End, words: tuple[str, str, str], door: tuple[str, int]
) -> bool:
    kind, rules, peers = words
    if own.namespace != NAMESPACE:
        return True  # the policies are of our namespace only
    specs = [policy["spec"] for policy in policies]
    selecting = [spec for spec in specs if kind in spec["policyTypes"] and selects(spec["podSelector"], own.labels)]
    return not selecting or any(
        _opens(rule, door) and _names(rule.get(peers), other) for spec in selecting for rule in spec.get(rules) or ()
    )


def _opens(rule: Manifest, door: tuple[str, int]) -> bool:
    ports = rule.get("ports")
    if not ports:
        return True
    assert all(isinstance(port["port"], int) and "endPort" not in port for port in ports), "by number, one at a time"
    return door in {(port.get("protocol", "TCP"), port["port"]) for port in ports}


def _names(peers: list[Manifest] | None, other: End) -> bool:
    return not peers or any(_is(peer, other) for peer in peers)


def _is(peer: Manifest, other: End) -> bool:
    if "ipBlock" in peer:
        return _within(peer["ipBlock"], other.address)
    if other.namespace is None:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace}):
            return False
    elif other.namespace != NAMESPACE:
        return False
    return selects(peer.get("podSelector", {}), other.labels)


def _within(block: Manifest, address: str) -> bool:
    host = ipaddress.ip_address(address)
    networks = [ipaddress.ip_network(text) for text in (block["cidr"], *block.get("except", ()))]
    return host in networks[0] and not any(host in network for network in networks[1:])


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector means what has these labels; an empty one means all."""
    if not all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", ()):
        assert expression["operator"] == "In", "the only operator that is read here"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True
