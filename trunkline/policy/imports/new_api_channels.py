"""Rows of New API's table ``channels`` as channels. Called by `policy.imports.new_api`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from trunkline.policy import configuration_values as values
from trunkline.policy.configuration import DEFAULT_GROUP
from trunkline.policy.configuration_checks import ENVIRONMENT_PREFIX, PRIORITY_MAX
from trunkline.policy.imports import tolerant
from trunkline.policy.imports.new_api_types import AZURE, CUSTOM, OTHERS, PLAN_DIALECTS, PLANS, TYPES, ChannelType
from trunkline.policy.imports.remarks import RemarkList
from trunkline.policy.imports.vendors import VENDORS
from trunkline.policy.routing_checks import STATUS_MAX, STATUS_MIN, WEIGHT_MAX

ENABLED: Final = 1
"""Status of a channel, token or user that works; other numbers say by whom it was turned off."""

_BY_HAND: Final = 2

_AZURE_VERSION: Final = "2025-04-01-preview"
"""Of channels that name none; New API assumes this one, too."""

_MAPPING_STEPS_MAX: Final = 16
"""A mapped name may be mapped again."""

_VERSION_END: Final = re.compile(r"/v\d+(beta|alpha)?\d*$", re.ASCII)

_PLACEHOLDER: Final = re.compile(r"[{}*]", re.ASCII)
"""Of header overrides: values that New API makes of the request."""

_READ: Final = frozenset(
    {
        *("id", "type", "key", "name", "status", "weight", "priority", "base_url", "other", "models", "group"),
        *("model_mapping", "status_code_mapping", "param_override", "header_override", "channel_info"),
        *("openai_organization", "setting", "settings"),
        # What it has counted and noted, which is nothing to take over.
        *("created_time", "test_time", "response_time", "balance", "balance_updated_time", "used_quota"),
        *("other_info", "test_model", "auto_ban", "need_reconcile", "tag", "remark"),
    }
)


class ChannelReader:
    """Reads rows, and says what became of each of their columns.

    Args:
        remarks: receives what became of them.
        weighted: whether any of the rows has a weight: where none has, all are equal.
    """

    def __init__(self, remarks: RemarkList, *, weighted: bool) -> None:
        self._remarks = remarks
        self._weighted = weighted
        self._names = tolerant.UniqueNames()
        self.variables: list[str] = []

    def read(self, row: Mapping[str, Any], place: str) -> dict[str, Any] | None:
        """Return a channel, or None after saying why it is left out."""
        number = tolerant.whole(row.get("type"), 0, 2**31)
        kind = None if number is None else TYPES.get(number)
        if kind is None or number is None:
            what = OTHERS.get(number or 0, "a type that is not known here")
            self._remarks.left_out(place, f"{what}: speaks none of our dialects")
            return None
        models = self._models(row, place)
        base_url = self._base_url(row, number, kind, place)
        if not models or base_url is None:
            return None
        name = self._name(row, kind, place)
        channel: dict[str, Any] = {
            "name": name,
            "dialect": kind.dialect,
            "base_url": base_url,
            "credentials": self._credentials(row, place),
            "models": models,
            "groups": tolerant.parts(row.get("group")) or [DEFAULT_GROUP],
            **msgspec.to_builtins(VENDORS[kind.vendor].fields),
        }
        self._shares(channel, row, place)
        self._status(channel, row, place)
        if number == AZURE:
            version = tolerant.text(row.get("other")) or _AZURE_VERSION
            channel["options"] = {**channel.get("options", {}), "api_version": version}
        self._rules(channel, row, place)
        self._remarks.others(place, row, _READ, "have no counterpart")
        self._remarks.taken(place, f"channel {name}")
        return channel

    def _name(self, row: Mapping[str, Any], kind: ChannelType, place: str) -> str:
        written = tolerant.text(row.get("name"))
        name = self._names.take(tolerant.tidy_name(written, kind.name))
        if name != written:
            self._remarks.changed(f"{place}.name", f"{name}: names are unique, and without slashes")
        return name

    def _models(self, row: Mapping[str, Any], place: str) -> dict[str, str]:
        mapped = {name: tolerant.text(other) for name, other in tolerant.mapping(row.get("model_mapping")).items()}
        models = {}
        for public in tolerant.parts(row.get("models")):
            upstream = public
            for _ in range(_MAPPING_STEPS_MAX):
                following = mapped.get(upstream)
                if not following or following == upstream:
                    break
                upstream = following
            try:
                for name in (public, upstream):
                    values.check_model_name(name)
            except ValueError as error:
                self._remarks.left_out(f"{place}.models", f"a model's name {error}")
            else:
                models[public] = upstream
        if not models:
            self._remarks.left_out(place, "serves no model")
        if unused := [name for name in mapped if name not in models and name not in models.values()]:
            self._remarks.left_out(f"{place}.model_mapping", f"{', '.join(unused)}: not among its models")
        return models

    def _base_url(self, row: Mapping[str, Any], number: int, kind: ChannelType, place: str) -> str | None:
        here = f"{place}.base_url"
        written = tolerant.text(row.get("base_url"))
        if written in PLANS and kind.dialect in PLAN_DIALECTS:
            return PLANS[written]
        url = (written or kind.host).rstrip("/")
        if number == CUSTOM:
            if not url.endswith("/chat/completions"):
                self._remarks.left_out(here, "must end with /chat/completions: it is the only path that is known")
                return None
            url = url.removesuffix("/chat/completions")
        elif number != AZURE and written and _VERSION_END.search(_path(url)):
            self._remarks.changed(here, "has a version already: nothing is put behind it")
        else:
            url += kind.path
        try:
            return values.normal_base_url(url)
        except ValueError as error:
            self._remarks.left_out(here, f"the upstream's address {error}")
            return None

    def _credentials(self, row: Mapping[str, Any], place: str) -> list[str]:
        here = f"{place}.key"
        found = _secrets(row.get("key"))
        states = tolerant.mapping(tolerant.mapping(row.get("channel_info")).get("multi_key_status_list"))
        taken: list[str] = []
        for number, secret in enumerate(found):
            line = here if len(found) == 1 else f"{here}[{number}]"
            if tolerant.whole(states.get(str(number), ENABLED), 0, 9) != ENABLED:
                self._remarks.left_out(line, "is turned off in New API")
                continue
            try:
                values.check_upstream_secret(secret)
            except ValueError as error:
                self._remarks.left_out(line, f"{error}")
                continue
            if secret in taken:
                self._remarks.left_out(line, "the same key again")
            else:
                taken.append(secret)
        if found:
            if taken:
                self._remarks.taken(here, f"{len(taken)} credentials")
            return taken
        variable = f"NEW_API_CHANNEL_{tolerant.whole(row.get('id'), 0, 2**62) or len(self.variables) + 1}"
        self.variables.append(variable)
        self._remarks.to_do(here, f"is not in the export: set the environment variable {variable} where you apply")
        return [ENVIRONMENT_PREFIX + variable]

    def _shares(self, channel: dict[str, Any], row: Mapping[str, Any], place: str) -> None:
        if priority := tolerant.whole(row.get("priority"), -PRIORITY_MAX, PRIORITY_MAX):
            channel["priority"] = priority
        weight = tolerant.whole(row.get("weight"), 0, WEIGHT_MAX) or 0
        if self._weighted:
            channel["weight"] = max(weight, 1)
            if not weight:
                self._remarks.changed(f"{place}.weight", "1: here a channel of weight 0 gets no jobs")

    def _status(self, channel: dict[str, Any], row: Mapping[str, Any], place: str) -> None:
        status = tolerant.whole(row.get("status", ENABLED), 0, 9)
        if status != ENABLED:
            channel["enabled"] = False
            who = "by hand" if status == _BY_HAND else "by New API itself: see whether it works, and enable it"
            self._remarks.changed(f"{place}.status", f"enabled: false; it was turned off {who}")

    def _rules(self, channel: dict[str, Any], row: Mapping[str, Any], place: str) -> None:
        self._status_map(channel, row, place)
        self._params(channel, row, place)
        self._headers(channel, row, place)
        for column in ("setting", "settings"):
            said = {name: value for name, value in tolerant.mapping(row.get(column)).items() if value}
            if said:
                self._remarks.left_out(f"{place}.{column}", f"{', '.join(said)}: have no counterpart")

    def _status_map(self, channel: dict[str, Any], row: Mapping[str, Any], place: str) -> None:
        found = {}
        for status, read_as in tolerant.mapping(row.get("status_code_mapping")).items():
            pair = [tolerant.whole(one, 0, 999) for one in (status, read_as)]
            if all(one is not None and STATUS_MIN <= one <= STATUS_MAX for one in pair):
                found[pair[0]] = pair[1]
            else:
                here = f"{place}.status_code_mapping.{status}"
                self._remarks.left_out(here, f"only {STATUS_MIN} to {STATUS_MAX} can be read as others of these")
        if found:
            channel["status_map"] = found
            self._remarks.taken(f"{place}.status_code_mapping", "status_map")

    def _params(self, channel: dict[str, Any], row: Mapping[str, Any], place: str) -> None:
        override = tolerant.mapping(row.get("param_override"))
        here = f"{place}.param_override"
        if "operations" in override:
            self._remarks.left_out(here, "operations; write them as params of the channel, if they are needed")
            return
        plain = {name: value for name, value in override.items() if "." not in name}
        if plain:
            rules = channel.get("params", {})
            channel["params"] = {**rules, "set": {**rules.get("set", {}), **plain}}
            self._remarks.taken(here, f"params.set of {', '.join(plain)}")
        if len(plain) < len(override):
            self._remarks.left_out(here, "paths into a field; rules are for whole fields")

    def _headers(self, channel: dict[str, Any], row: Mapping[str, Any], place: str) -> None:
        lines: dict[str, str] = {}
        if organization := tolerant.text(row.get("openai_organization")):
            lines["openai-organization"] = organization
        for name, value in tolerant.mapping(row.get("header_override")).items():
            here = f"{place}.header_override.{name}"
            if tolerant.may_be_secret(name):
                self._remarks.left_out(here, "may hold a secret, and a header rule is shown in the clear")
            elif not isinstance(value, str) or not value or _PLACEHOLDER.search(f"{name}{value}"):
                self._remarks.left_out(here, "is made of the request, or no text; header rules are fixed")
            else:
                lines[name.lower()] = value.strip()
                self._remarks.taken(here, f"headers.set.{name.lower()}")
        if lines:
            channel["headers"] = {"set": lines}


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _secrets(value: object) -> Sequence[str]:
    decoded = tolerant.decoded(value)
    if isinstance(decoded, list):
        return [tolerant.text(one) for one in decoded]
    return [line.strip() for line in tolerant.text(value).splitlines() if line.strip()]
