"""What must hold of the routing parts of a configuration beyond their form. Called by `configuration_checks`.

Every function takes the place of what it checks and notes faults there.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from trunkline.bus.snapshots import CredentialLimits, HeaderRules, Probe, ProbeKind, Timeouts
from trunkline.core.limits import FALLBACKS_MAX
from trunkline.policy import configuration_values as values
from trunkline.policy.configuration import (
    ChannelEntry,
    CredentialEntry,
    ModelEntry,
    OverrideEntry,
    ParamsEntry,
    TimeoutsEntry,
)
from trunkline.policy.patterns import matches_any
from trunkline.policy.strict import FaultList, joined
from trunkline.policy.terms_checks import LIMIT_MAX, PATTERNS_MAX
from trunkline.protocol.names import UPSTREAM_AZURE, UPSTREAM_GEMINI, UPSTREAM_OPENAI

TIMEOUT_S_MAX: Final = 24 * 3600.0
"""A day. Longer waits are mistakes of unit."""

WEIGHT_MAX: Final = 1_000_000

OVERRIDES_MAX: Final = 64
"""Of one channel. Each is compared with the name of each of its models; people tell apart a family or two."""

HEADERS_MAX: Final = 32
"""Lines that a channel sets, and as many that it drops; providers know a handful."""

HEADER_VALUE_CHARS_MAX: Final = 4096
"""Half of what common servers take for one line."""

STATUS_MIN: Final = 400
STATUS_MAX: Final = 599
"""Only errors are read as others: an answer below has no error to be read."""

PROBE_INTERVAL_S_MIN: Final = 1.0
"""As often as health probes at all."""

PAID_PROBES_MAX: Final = 86_400
"""In 24 hours: one each second."""

_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,256}", re.ASCII)
"""A field name (RFC 9110 section 5.1) in lower case."""

_BY_CREDENTIAL = frozenset({"authorization", "api-key", "x-api-key", "x-goog-api-key"})

_BY_GATEWAY = frozenset(
    {
        # Of the connection alone (RFC 9110 section 7.6.1).
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
        # What the body is and how the answer may be packed: another value would make both unreadable.
        *("accept-encoding", "content-encoding", "content-length", "content-type", "expect", "host"),
    }
)

_EMBEDDERS = (UPSTREAM_OPENAI, UPSTREAM_AZURE, UPSTREAM_GEMINI)
"""Dialects of providers that are asked for embeddings (`protocol.endpoints.embeddings`)."""

_ASKED = frozenset({ProbeKind.COMPLETION, ProbeKind.EMBEDDING})
"""Probes that ask a model."""

V = TypeVar("V")


def check_channel_routing(entry: ChannelEntry, place: str, faults: FaultList) -> None:
    """Check what a channel says of its credentials, its models, its requests and its answers."""
    check_credential_limits(entry.limits, f"{place}.limits", faults)
    check_timeouts(entry.timeouts, f"{place}.timeouts", faults)
    check_params(entry.params, f"{place}.params", faults)
    if len(entry.overrides) > OVERRIDES_MAX:
        faults.add(f"{place}.overrides", f"must have at most {OVERRIDES_MAX} entries")
    for number, override in enumerate(entry.overrides[:OVERRIDES_MAX]):
        _check_override(override, entry.models, f"{place}.overrides[{number}]", faults)
    check_headers(entry.headers, f"{place}.headers", faults)
    for status, read_as in entry.status_map.items():
        for number in (status, read_as):
            if not STATUS_MIN <= number <= STATUS_MAX:
                faults.add(f"{place}.status_map.{status}", f"must map {STATUS_MIN} to {STATUS_MAX} to one of these")
                break
    _check_probe(entry.probe, entry, f"{place}.probe", faults)


def check_credential(entry: CredentialEntry, place: str, faults: FaultList) -> None:
    """Check a credential's share and limits; ``place`` may be empty."""
    if not 1 <= entry.weight <= WEIGHT_MAX:
        faults.add(
            joined(place, "weight"),
            f"must be between 1 and {WEIGHT_MAX}; leave out a credential that is not to be used",
        )
    check_credential_limits(values.credential_limits(entry), place, faults)


def check_credential_limits(limits: CredentialLimits, place: str, faults: FaultList) -> None:
    """Check what credentials are kept to; ``place`` may be empty."""
    for name in limits.__struct_fields__:
        bound = getattr(limits, name)
        if bound is not None and not 1 <= bound <= LIMIT_MAX:
            faults.add(joined(place, name), f"must be between 1 and {LIMIT_MAX}")


def check_timeouts(timeouts: Timeouts | TimeoutsEntry, place: str, faults: FaultList) -> None:
    """Check a channel's timeouts, or those that differ for some of its models."""
    for name in timeouts.__struct_fields__:
        timeout_s = getattr(timeouts, name)
        if timeout_s is not None and not 0 < timeout_s <= TIMEOUT_S_MAX:
            faults.add(f"{place}.{name}", f"must be more than 0 and at most {TIMEOUT_S_MAX:g} s")


def check_params(params: ParamsEntry, place: str, faults: FaultList) -> None:
    """Check parameter rules."""
    for name, clamp in params.clamp.items():
        if clamp.min is None and clamp.max is None:
            faults.add(f"{place}.clamp.{name}", "must have a min, a max or both")
        elif clamp.min is not None and clamp.max is not None and clamp.min > clamp.max:
            faults.add(f"{place}.clamp.{name}", "its min is above its max")
    first: dict[str, str] = {}
    for name, becomes in params.rename.items():
        here = f"{place}.rename.{name}"
        if not name or not becomes:
            faults.add(here, "must name a field and what it is called there")
        elif name == becomes:
            faults.add(here, "must be another name")
        elif becomes in first:
            faults.add(here, f"the same name as {first[becomes]}")
        first.setdefault(becomes, here)
    for part, fields in (("set", params.set), ("default", params.default)):
        _try(values.raw_values, fields, f"{place}.{part}", faults)


def check_headers(headers: HeaderRules, place: str, faults: FaultList) -> None:
    """Check header rules."""
    for part, names in (("drop", headers.drop), ("set", tuple(headers.set))):
        if len(names) > HEADERS_MAX:
            faults.add(f"{place}.{part}", f"must have at most {HEADERS_MAX} names")
        for name in names:
            _try(_check_header_name, name, f"{place}.{part}.{name}", faults)
    for name, value in headers.set.items():
        _try(_check_header_value, value, f"{place}.set.{name}", faults)
        if name in headers.drop:
            faults.add(f"{place}.set.{name}", "is dropped as well; a line that is set takes the place of another")


def check_model_routing(entry: ModelEntry, models: frozenset[str], place: str, faults: FaultList) -> None:
    """Check a model's fallbacks; ``models`` are the names that they may hold."""
    for part in ("fallbacks", "context_fallbacks", "filter_fallbacks"):
        _check_fallbacks(getattr(entry, part), entry.name, models, f"{place}.{part}", faults)


def _check_fallbacks(names: Sequence[str], model: str, models: frozenset[str], place: str, faults: FaultList) -> None:
    if len(names) > FALLBACKS_MAX:
        faults.add(place, f"must name at most {FALLBACKS_MAX} models")
        return
    for number, name in enumerate(names):
        here = f"{place}[{number}]"
        if name == model:
            faults.add(here, "is the model itself")
        elif name not in models:
            faults.add(here, f"unknown model {name!r}; declare it under models")
        elif name in names[:number]:
            faults.add(here, f"the same model as {place}[{names.index(name)}]")


def _check_override(entry: OverrideEntry, models: Mapping[str, str], place: str, faults: FaultList) -> None:
    if not 1 <= len(entry.models) <= PATTERNS_MAX:
        faults.add(f"{place}.models", f"must name between 1 and {PATTERNS_MAX} models or patterns")
    for number, pattern in enumerate(entry.models[:PATTERNS_MAX]):
        here = f"{place}.models[{number}]"
        _try(values.check_model_name, pattern, here, faults)
        if not any(matches_any((pattern,), model) for model in models):
            faults.add(here, "matches none of the channel's models")
    if entry.timeouts in {None, TimeoutsEntry()} and entry.params == ParamsEntry():
        faults.add(place, "must have timeouts, params or both")
    if entry.timeouts is not None:
        check_timeouts(entry.timeouts, f"{place}.timeouts", faults)
    check_params(entry.params, f"{place}.params", faults)


def _check_header_name(name: str) -> None:
    if _TOKEN.fullmatch(name) is None:
        raise ValueError("must be the name of a header line in lower case, such as x-title")
    if name in _BY_CREDENTIAL:
        raise ValueError("is made of the channel's credential")
    if name in _BY_GATEWAY:
        raise ValueError("is the gateway's own: it follows from the connection and the body")


def _check_header_value(value: str) -> None:
    if value.startswith("env:"):
        raise ValueError("is not read from the environment: it is stored and shown in the clear")
    if not value or not value.isascii() or not value.isprintable() or value != value.strip():
        raise ValueError("must be printable ASCII without spaces around it; drop leaves a line out")
    if len(value) > HEADER_VALUE_CHARS_MAX:
        raise ValueError(f"must have at most {HEADER_VALUE_CHARS_MAX} characters")


def _check_probe(probe: Probe, channel: ChannelEntry, place: str, faults: FaultList) -> None:
    if probe.model and probe.kind not in _ASKED:
        faults.add(f"{place}.model", "is for probes of the kinds completion and embedding; others ask no model")
    elif probe.model and probe.model not in channel.models:
        faults.add(f"{place}.model", "is not among the channel's models")
    if probe.kind is ProbeKind.EMBEDDING and channel.dialect not in _EMBEDDERS:
        faults.add(f"{place}.kind", f"embedding is for channels of the dialects {', '.join(_EMBEDDERS)}")
    if probe.interval_s is not None and not PROBE_INTERVAL_S_MIN <= probe.interval_s <= TIMEOUT_S_MAX:
        faults.add(f"{place}.interval_s", f"must be between {PROBE_INTERVAL_S_MIN:g} and {TIMEOUT_S_MAX:g} s")
    if not 0 <= probe.paid_per_day <= PAID_PROBES_MAX:
        faults.add(f"{place}.paid_per_day", f"must be between 0 and {PAID_PROBES_MAX}")


def _try(check: Callable[[V], object], value: V, place: str, faults: FaultList) -> None:
    try:
        check(value)
    except ValueError as error:
        faults.add(place, str(error))
