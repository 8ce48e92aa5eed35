"""Routing as people read it: in diffs and in what the CLI shows. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from trunkline.bus.snapshots import (
    ChannelOverride,
    CredentialLimits,
    HeaderRules,
    ModelRouting,
    ParameterRules,
    Probe,
    ProbeKind,
    Timeouts,
)

NONE: Final = "none"


def credential_limits_text(limits: CredentialLimits) -> str:
    """Return limits of a credential: ``jobs 8, rpm 50``."""
    found = ((name, getattr(limits, name)) for name in limits.__struct_fields__)
    return ", ".join(f"{name} {bound}" for name, bound in found if bound is not None) or NONE


def timeouts_text(timeouts: Timeouts) -> str:
    """Return timeouts: ``connect_s 5, first_token_s 30, idle_s 60, total_s 600``."""
    return ", ".join(f"{name} {getattr(timeouts, name):g}" for name in timeouts.__struct_fields__)


def rules_text(rules: ParameterRules) -> str:
    """Return parameter rules in the order in which they apply: ``drop seed; clamp top_p to 0.01…0.99``."""
    clamped = (
        f"{name} to {'' if clamp.min is None else f'{clamp.min:g}'}…{'' if clamp.max is None else f'{clamp.max:g}'}"
        for name, clamp in rules.clamp.items()
    )
    return _parts(
        ("drop", rules.drop),
        ("set", (f"{name} {bytes(value).decode()}" for name, value in rules.set.items())),
        ("default", (f"{name} {bytes(value).decode()}" for name, value in rules.default.items())),
        ("clamp", clamped),
        ("rename", (f"{name} to {becomes}" for name, becomes in rules.rename.items())),
    )


def overrides_text(overrides: Iterable[ChannelOverride]) -> str:
    """Return what differs for some models, each in brackets."""
    return " ".join(f"[{_override_text(override)}]" for override in overrides) or NONE


def _override_text(override: ChannelOverride) -> str:
    parts = (
        "" if override.timeouts is None else timeouts_text(override.timeouts),
        "" if override.params == ParameterRules() else rules_text(override.params),
    )
    return f"{', '.join(override.models)}: {'; '.join(filter(None, parts))}"


def headers_text(headers: HeaderRules) -> str:
    """Return header rules: ``drop x-stainless-os; set x-title: Acme``."""
    return _parts(("drop", headers.drop), ("set", (f"{name}: {value}" for name, value in headers.set.items())))


def status_map_text(statuses: Mapping[int, int]) -> str:
    """Return how statuses are read: ``403 as 429, 529 as 503``."""
    return ", ".join(f"{status} as {read_as}" for status, read_as in sorted(statuses.items())) or NONE


def probe_text(probe: Probe) -> str:
    """Return how a channel is probed: ``completion of gpt-4o-mini, every 30 s, 500 paid a day``."""
    parts = [f"{probe.kind} of {probe.model}" if probe.model else str(probe.kind)]
    if probe.interval_s is not None:
        parts.append(f"every {probe.interval_s:g} s")
    if probe.kind in {ProbeKind.COMPLETION, ProbeKind.EMBEDDING}:
        parts.append(f"{probe.paid_per_day} paid a day")
    return ", ".join(parts)


def model_routing_text(routing: ModelRouting) -> str:
    """Return how a model's jobs are routed: ``cost; fallbacks a, b; hedged``."""
    parts = [
        "" if routing.strategy is None else str(routing.strategy),
        *(
            f"{name.replace('_', ' ')} {', '.join(getattr(routing, name))}"
            for name in ("fallbacks", "context_fallbacks", "filter_fallbacks")
            if getattr(routing, name)
        ),
        "hedged" if routing.hedge else "",
        "continued" if routing.continues else "",
    ]
    return "; ".join(filter(None, parts)) or NONE


def _parts(*named: tuple[str, Iterable[str]]) -> str:
    texts = ((name, ", ".join(values)) for name, values in named)
    return "; ".join(f"{name} {text}" for name, text in texts if text) or NONE
