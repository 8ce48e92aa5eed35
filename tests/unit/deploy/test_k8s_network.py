"""Who may talk to whom in the cluster: the arrows of the design's picture, and no others."""

import pytest

from tests.support.cluster_regions import ABROAD, GATEWAY_ABROAD, GATEWAY_HOME, HOME, REGIONS
from tests.support.manifests import NAME, NAMESPACE, OVERLAYS, TRACED, containers, of_kind, workloads
from tests.support.network_policies import End, allowed, selects

OPS = {"edge": 9101, "dispatcher": 9102, "metering": 9103, "health": 9104, "console": 9105}

PICTURE = {
    # Everything between services crosses NATS.
    *((role, "nats", 4222) for role in OPS),
    ("nats", "nats", 6222),
    # Clients, people, and the playground, which is a client, too.
    ("ingress", "edge", 8080),
    ("ingress", "console", 8081),
    ("console", "edge", 8080),
    # Only these two know Postgres, and what prepares it for them.
    *((role, "postgres", 5432) for role in ("metering", "console", "migrate")),
    # Providers; and for the console webhooks, sign-in and mail.
    *((role, "internet", port) for role in ("dispatcher", "health", "console") for port in (80, 443)),
    ("console", "internet", 465),
    ("console", "internet", 587),
    # Metrics.
    *(("prometheus", role, port) for role, port in OPS.items()),
}

OUTSIDE = (
    End("ingress", "ingress-nginx", {NAME: "ingress-nginx"}),
    End("prometheus", "monitoring", {NAME: "prometheus"}),
    End("postgres operator", "cnpg-system", {NAME: "cloudnative-pg"}),
    End("stranger", "elsewhere", {NAME: "edge", "app.kubernetes.io/part-of": "trunkline"}),
    End("collector", "opentelemetry", {NAME: "opentelemetry-collector"}),
    End("names", "kube-system", {"k8s-app": "kube-dns"}),
    End("internet", address="203.0.113.9"),
    End("internet", address="2001:db8::9"),
    End("API server", address="10.96.0.1"),
    End("metadata", address="169.254.169.254"),
    End("private host", address="192.168.7.7"),
    End("private host", address="fd00::7"),
    # The other regions, as the overlays have them.
    End("home", address="10.10.0.7"),
    End("abroad", address="10.20.0.7"),
)

OVERLAY = {
    "dev": {
        *((role, "upstream", 9200) for role in ("dispatcher", "health", "console")),
        ("apply", "console", 8081),
    },
    "production": {
        ("prometheus", "nats", 7777),
        ("postgres", "postgres", 5432),
        ("postgres", "postgres", 8000),
        *(("postgres operator", "postgres", port) for port in (5432, 8000)),
        # The API server is no pod, so it is told by its ports alone.
        *(("postgres", end.name, port) for end in OUTSIDE for port in (443, 6443)),
    },
}
OVERLAY[TRACED] = OVERLAY["production"] | {(role, "collector", 4318) for role in ("edge", "dispatcher", "metering")}
OVERLAY[HOME] = OVERLAY["production"] | {("abroad", "nats", 7422)}
OVERLAY[ABROAD] = OVERLAY["production"] | {("nats", "home", 7422)}
OVERLAY[GATEWAY_HOME] = OVERLAY["production"] | {("abroad", "nats", 7222), ("nats", "abroad", 7222)}
OVERLAY[GATEWAY_ABROAD] = OVERLAY["production"] | {("home", "nats", 7222), ("nats", "home", 7222)}
ALL = (*OVERLAYS, TRACED, *REGIONS)

PORTS = {22, 25, 80, 443, 465, 587, 4222, 4318, 5432, 6222, 6443, 7222, 7422, 7777, 8000, 8080, 8081, 8222, 9200}
PORTS |= set(OPS.values())


UNNAMED = End("unnamed", NAMESPACE)
"""A pod in the namespace that nothing here knows."""


def pods(overlay: str) -> list[End]:
    ours = [
        End(role, NAMESPACE, manifest["spec"]["template"]["metadata"]["labels"])
        for role, manifest in workloads(overlay).items()
    ]
    databases = of_kind(overlay, "Cluster")
    return ours + [End("postgres", NAMESPACE, each["spec"]["inheritedMetadata"]["labels"]) for each in databases]


def drawn(overlay: str) -> set[tuple[str, str, int]]:
    """Return the arrows of the picture between those that an overlay has: not all of them are abroad."""
    there = {end.name for end in (*pods(overlay), *OUTSIDE)}
    return {arrow for arrow in PICTURE | OVERLAY[overlay] if there.issuperset(arrow[:2])}


@pytest.mark.parametrize("overlay", ALL)
def test_the_arrows_of_the_picture_are_allowed_and_no_others(overlay: str) -> None:
    policies, ours = of_kind(overlay, "NetworkPolicy"), [*pods(overlay), UNNAMED]
    arrows = {
        (source.name, target.name, port)
        for source in (*ours, *OUTSIDE)
        for target in (*ours, *OUTSIDE)
        if NAMESPACE in {source.namespace, target.namespace}
        for port in PORTS
        if allowed(policies, source, target, port)
    }
    assert arrows == drawn(overlay)


@pytest.mark.parametrize("overlay", ALL)
def test_every_pod_may_ask_for_names_and_nobody_else_is_asked(overlay: str) -> None:
    policies, ours = of_kind(overlay, "NetworkPolicy"), pods(overlay)
    for protocol in ("UDP", "TCP"):
        asked = {
            (source.name, target.name)
            for source in (*ours, UNNAMED)
            for target in (*ours, *OUTSIDE)
            if allowed(policies, source, target, 53, protocol)
        }
        assert asked == {(source.name, "names") for source in ours}


@pytest.mark.parametrize("overlay", ALL)
def test_no_port_of_a_container_is_left_out_here(overlay: str) -> None:
    opened = {port["containerPort"] for each in containers(overlay) for port in each.spec.get("ports", ())}
    assert opened <= PORTS


@pytest.mark.parametrize("overlay", ALL)
def test_policies_select_pods_that_exist(overlay: str) -> None:
    ours = pods(overlay)
    for policy in of_kind(overlay, "NetworkPolicy"):
        assert any(selects(policy["spec"]["podSelector"], end.labels) for end in ours), policy["metadata"]["name"]
