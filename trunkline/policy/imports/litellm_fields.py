"""What a deployment of LiteLLM says of its channel beside model, address and key: timeouts, headers, parameters."""

from collections.abc import Mapping
from typing import Any, Final

from trunkline.policy.configuration_checks import PRIORITY_MAX
from trunkline.policy.imports import tolerant
from trunkline.policy.imports.remarks import RemarkList
from trunkline.policy.routing_checks import TIMEOUT_S_MAX
from trunkline.protocol import names

VARIABLE_PREFIX: Final = "os.environ/"

REQUEST_FIELDS: Final = (
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "n",
    "user",
    "reasoning_effort",
    "parallel_tool_calls",
    "top_k",
    "dimensions",
)
"""What a deployment gives requests that do not say it themselves."""

_ANTHROPIC_FIELDS: Final = frozenset({"temperature", "top_p", "max_tokens", "top_k"})


class Variables:
    """Environment variables that the file itself gives values to.

    Args:
        values: by name.
        remarks: receives which others it would need.
    """

    def __init__(self, values: Mapping[str, str], remarks: RemarkList) -> None:
        self._values = values
        self._remarks = remarks

    def given(self, name: str) -> str | None:
        """Return what the file gives to a variable."""
        return self._values.get(name)

    def text(self, value: object, place: str) -> str | None:
        """Return a text, or what the file gives to the variable that it names; None after saying that it is unknown."""
        written = tolerant.text(value)
        if not written.startswith(VARIABLE_PREFIX):
            return written
        found = self.given(written.removeprefix(VARIABLE_PREFIX))
        if found is None:
            self._remarks.left_out(
                place,
                "stands in an environment variable, which only secrets may; write it into the file and import again",
            )
        return found


class FieldReader:
    """Reads a channel's fields.

    Args:
        remarks: receives what became of them.
        variables: see there.
        timeout_s: of the router; None for none.
    """

    def __init__(self, remarks: RemarkList, variables: Variables, timeout_s: float | None) -> None:
        self._remarks = remarks
        self._variables = variables
        self._timeout_s = timeout_s

    def add(self, fields: dict[str, Any], params: Mapping[str, Any], place: str) -> None:
        """Add to a channel's fields what its deployment says of them."""
        if (version := tolerant.text(params.get("api_version"))) and fields["dialect"] == names.UPSTREAM_AZURE:
            resolved = self._variables.text(version, f"{place}.api_version")
            if resolved:
                fields["options"] = {**fields.get("options", {}), "api_version": resolved}
        if (order := tolerant.whole(params.get("order"), -PRIORITY_MAX, PRIORITY_MAX)) is not None:
            fields["priority"] = -order
            self._remarks.changed(f"{place}.order", f"priority {-order}: here the higher one goes first")
        timeouts = self._timeouts(params, place)
        if timeouts:
            fields["timeouts"] = timeouts
        self._headers(fields, params, place)
        self._params(fields, params, place)

    def _timeouts(self, params: Mapping[str, Any], place: str) -> dict[str, float]:
        timeouts: dict[str, float] = {} if self._timeout_s is None else {"total_s": self._timeout_s}
        for field, ours in (("timeout", "total_s"), ("stream_timeout", "first_token_s")):
            if params.get(field) is None:
                continue
            timeout_s = seconds(params[field])
            if timeout_s is None:
                self._remarks.left_out(f"{place}.{field}", f"is no number of seconds up to {TIMEOUT_S_MAX:g}")
            else:
                timeouts[ours] = timeout_s
                self._remarks.taken(f"{place}.{field}", f"timeouts.{ours}")
        return timeouts

    def _headers(self, fields: dict[str, Any], params: Mapping[str, Any], place: str) -> None:
        lines: dict[str, str] = {}
        if organization := tolerant.text(params.get("organization")):
            lines["openai-organization"] = organization
        for part in ("headers", "extra_headers"):
            for name, value in tolerant.mapping(params.get(part)).items():
                here, low = f"{place}.{part}.{name}", name.lower()
                if tolerant.may_be_secret(low):
                    self._remarks.left_out(here, "may hold a secret, and a header rule is shown in the clear")
                elif isinstance(value, str) and value and not value.startswith(VARIABLE_PREFIX):
                    lines[low] = value.strip()
                    self._remarks.taken(here, f"headers.set.{low}")
                else:
                    self._remarks.left_out(here, "must be a text; header rules are not read from the environment")
        if lines:
            fields["headers"] = {"set": lines}

    def _params(self, fields: dict[str, Any], params: Mapping[str, Any], place: str) -> None:
        rules = dict(fields.get("params", {}))
        defaults = {name: params[name] for name in REQUEST_FIELDS if params.get(name) is not None}
        known = {
            names.UPSTREAM_GEMINI: frozenset[str](),
            names.UPSTREAM_ANTHROPIC: _ANTHROPIC_FIELDS,
        }.get(fields["dialect"], frozenset(REQUEST_FIELDS))
        for name in defaults:
            if name in known:
                self._remarks.taken(f"{place}.{name}", "params.default: for requests that do not say it")
            else:
                self._remarks.left_out(f"{place}.{name}", f"the dialect {fields['dialect']} has another field for it")
        if taken := {name: value for name, value in defaults.items() if name in known}:
            rules["default"] = taken
        if (extra := params.get("extra_body")) and isinstance(extra, dict):
            rules["set"] = {**rules.get("set", {}), **extra}
            self._remarks.taken(f"{place}.extra_body", f"params.set of {', '.join(extra)}")
        dropped = [name for name in tolerant.listing(params.get("additional_drop_params")) if isinstance(name, str)]
        plain = [name for name in dropped if name and not set("[].") & set(name)]
        if plain:
            rules["drop"] = list(dict.fromkeys([*rules.get("drop", []), *plain]))
            self._remarks.taken(f"{place}.additional_drop_params", f"params.drop of {', '.join(plain)}")
        if len(plain) < len(dropped):
            self._remarks.left_out(f"{place}.additional_drop_params", "paths into a field; rules are for whole fields")
        if rules:
            fields["params"] = rules


def seconds(value: object) -> float | None:
    """Return a timeout in seconds, None if it is none that a channel can have."""
    timeout_s = tolerant.number(value)
    return float(timeout_s) if timeout_s is not None and 0 < timeout_s <= TIMEOUT_S_MAX else None
