"""One entry of LiteLLM's ``model_list``: a deployment, which is a model at a provider with one key.

Called by `policy.imports.litellm`, which makes channels of them.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from trunkline.policy import configuration_values as values
from trunkline.policy.configuration_checks import ENVIRONMENT_PREFIX
from trunkline.policy.imports import tolerant
from trunkline.policy.imports.litellm_fields import REQUEST_FIELDS, VARIABLE_PREFIX, FieldReader, Variables
from trunkline.policy.imports.remarks import RemarkList
from trunkline.policy.imports.vendors import VENDORS, Vendor
from trunkline.policy.routing_checks import WEIGHT_MAX
from trunkline.policy.terms_checks import LIMIT_MAX
from trunkline.protocol import names

WEIGHT: Final = 100
"""Of a deployment that names none, which LiteLLM counts as one."""

COSTS: Final[Mapping[str, str]] = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_image_token": "output_image",
    "output_cost_per_image": "images",
    "input_cost_per_second": "seconds",
    "input_cost_per_character": "characters",
    "input_cost_per_query": "requests",
}
"""LiteLLM's names of prices for one unit, and our unit kinds."""

_LIMITS: Final = {"rpm": "rpm", "tpm": "tpm", "max_parallel_requests": "jobs"}

_READ: Final = frozenset(
    {
        *COSTS,
        *_LIMITS,
        *REQUEST_FIELDS,
        *("model", "api_key", "api_base", "base_url", "api_version", "custom_llm_provider", "organization"),
        *("timeout", "stream_timeout", "weight", "order", "extra_headers", "headers", "extra_body"),
        *("additional_drop_params", "litellm_credential_name", "drop_params"),
    }
)

_UNPREFIXED: Final = (
    (re.compile(r"gpt-|chatgpt-|o\d|text-embedding-|dall-e|whisper-|tts-|omni-", re.ASCII), "openai"),
    (re.compile(r"claude-", re.ASCII), "anthropic"),
    (re.compile(r"gemini-", re.ASCII), "gemini"),
)
"""Providers of models that stand without one."""

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)


class Deployment(msgspec.Struct):
    """A deployment as a channel of one model.

    Attributes:
        place: in the file.
        provider: as LiteLLM names it.
        public: the model's public name.
        upstream: the provider's name of it.
        credential: ``env:NAME``, literal, or None if the upstream wants none.
        fields: of the channel, but for its name, models, credentials and weight.
        limits: of its credential.
        prices: in USD per million units.
        weight: its share.
    """

    place: str
    provider: str
    public: str
    upstream: str
    credential: str | None
    fields: dict[str, Any]
    limits: dict[str, int]
    prices: dict[str, int | float]
    weight: int


class DeploymentReader:
    """Reads deployments, and says what became of each of their fields.

    Args:
        remarks: receives what became of them.
        variables: see there.
        credentials: of the file's ``credential_list``, by name.
        timeout_s: of the router; None for none.
    """

    def __init__(
        self,
        remarks: RemarkList,
        variables: Variables,
        credentials: Mapping[str, Mapping[str, Any]],
        timeout_s: float | None,
    ) -> None:
        self._remarks = remarks
        self._variables = variables
        self._credentials = credentials
        self._fields = FieldReader(remarks, variables, timeout_s)

    def read(self, entry: object, place: str) -> Deployment | None:
        """Return a deployment, or None after saying why it is left out."""
        fields = tolerant.mapping(entry)
        public = tolerant.text(fields.get("model_name"))
        params = tolerant.mapping(fields.get("litellm_params"))
        info = tolerant.mapping(fields.get("model_info"))
        shared = self._credentials.get(tolerant.text(params.get("litellm_credential_name")), {})
        params = {**shared, **params}
        here = f"{place}.litellm_params"
        found = self._provider(params, here)
        if not self._named(public, place) or found is None:
            return None
        provider, upstream = found
        vendor = VENDORS[provider]
        base_url = self._base_url(params, provider, vendor, here)
        if base_url is None or not self._named(upstream, f"{here}.model"):
            return None
        deployment = Deployment(
            place=place,
            provider=provider,
            public=public,
            upstream=upstream,
            credential=self._credential(params, vendor, here),
            fields={"dialect": vendor.dialect, "base_url": base_url, **msgspec.to_builtins(vendor.fields)},
            limits={ours: bound for theirs, ours in _LIMITS.items() if (bound := self._limit(params, theirs, here))},
            prices=self._prices(params, info, place),
            weight=self._weight(params, here),
        )
        self._fields.add(deployment.fields, params, here)
        self._rest(fields, params, info, place)
        return deployment

    def _named(self, name: str, place: str) -> bool:
        if "*" in name:
            self._remarks.left_out(place, "a pattern of models; a channel names each of its models")
            return False
        try:
            values.check_model_name(name)
        except ValueError as error:
            self._remarks.left_out(place, f"the model's name {error}")
            return False
        return True

    def _provider(self, params: Mapping[str, Any], place: str) -> tuple[str, str] | None:
        """Return the provider and its name of the model."""
        model = self._variables.text(params.get("model"), f"{place}.model")
        if not model:
            self._remarks.left_out(place, "has no model")
            return None
        provider = tolerant.text(params.get("custom_llm_provider"))
        prefix, slash, rest = model.partition("/")
        if not provider and slash and (prefix in VENDORS or not params.get("api_base")):
            provider, model = prefix, rest
        elif provider and slash and prefix == provider:
            model = rest
        if not provider:
            provider = next((name for form, name in _UNPREFIXED if form.match(model)), "")
        if not provider and (params.get("api_base") or params.get("base_url")):
            provider = "openai_like"
            self._remarks.changed(f"{place}.model", "names no provider: taken as one that speaks OpenAI's chat")
        if provider not in VENDORS:
            why = "speaks none of our dialects" if provider else "names no provider"
            self._remarks.left_out(place, f"{provider or 'the model'} {why}")
            return None
        # Some of Azure's and OpenAI's models are named with a family: openai/responses/gpt-5.
        return provider, model.removeprefix("responses/")

    def _base_url(self, params: Mapping[str, Any], provider: str, vendor: Vendor, place: str) -> str | None:
        given = params.get("api_base") or params.get("base_url")
        field = "api_base" if params.get("api_base") else "base_url"
        url = self._variables.text(given, f"{place}.{field}") if given else vendor.base_url
        if url is None:
            return None
        if given and provider in {"ollama", "ollama_chat"}:
            url = url.rstrip("/").removesuffix("/v1") + "/v1"
        if given and vendor.dialect == names.UPSTREAM_ANTHROPIC:
            url = url.rstrip("/").removesuffix("/messages").removesuffix("/v1") + "/v1"
        try:
            return values.normal_base_url(url)
        except ValueError as error:
            self._remarks.left_out(f"{place}.{field}", f"the upstream's address {error}")
            return None

    def _credential(self, params: Mapping[str, Any], vendor: Vendor, place: str) -> str | None:
        written = tolerant.text(params.get("api_key"))
        here = f"{place}.api_key"
        if not written:
            if not vendor.variable:
                self._remarks.taken(here, "none: the upstream is asked without a credential")
                return None
            self._remarks.changed(here, f"is missing: env:{vendor.variable}, where LiteLLM looks for it")
            return ENVIRONMENT_PREFIX + vendor.variable
        if written.startswith(VARIABLE_PREFIX):
            name = written.removeprefix(VARIABLE_PREFIX)
            if (given := self._variables.given(name)) is not None:
                written = given
            elif _VARIABLE.fullmatch(name):
                return ENVIRONMENT_PREFIX + name
        try:
            values.check_upstream_secret(written)
        except ValueError as error:
            self._remarks.to_do(here, f"{error}; the channel has no credential until you add one")
            return None
        return written

    def _limit(self, params: Mapping[str, Any], field: str, place: str) -> int | None:
        value = params.get(field)
        if value is None:
            return None
        bound = tolerant.whole(value, 1, LIMIT_MAX)
        if bound is None:
            self._remarks.left_out(f"{place}.{field}", "is no number")
        else:
            self._remarks.taken(f"{place}.{field}", "a limit of the credential, over all dispatchers")
        return bound

    def _weight(self, params: Mapping[str, Any], place: str) -> int:
        share = tolerant.number(params.get("weight"))
        if share is None:
            return WEIGHT
        weight = tolerant.whole(str(round(min(share, Decimal(WEIGHT_MAX)) * WEIGHT)), 0, WEIGHT_MAX) or 0
        self._remarks.changed(f"{place}.weight", f"{weight}: {WEIGHT} stand for one")
        return weight

    def _prices(self, params: Mapping[str, Any], info: Mapping[str, Any], place: str) -> dict[str, int | float]:
        prices: dict[str, int | float] = {}
        for part, fields in (("litellm_params", params), ("model_info", info)):
            for field, kind in COSTS.items():
                usd = tolerant.number(fields.get(field))
                if fields.get(field) is None or kind in prices:
                    continue
                price = None if usd is None or abs(usd) > values.AMOUNT_USD_MAX else tolerant.amount(usd * 1_000_000)
                if price is None:
                    self._remarks.left_out(f"{place}.{part}.{field}", "is no price")
                else:
                    prices[kind] = price
        if prices:
            self._remarks.taken(place, f"prices of {', '.join(prices)}: the channel's costs, and the model's price")
        return prices

    def _rest(self, fields: Mapping[str, Any], params: Mapping[str, Any], info: Mapping[str, Any], place: str) -> None:
        if params.get("drop_params"):
            self._remarks.left_out(
                f"{place}.litellm_params.drop_params", "translations leave out what a dialect has no word for"
            )
        self._remarks.others(f"{place}.litellm_params", params, _READ, "have no counterpart")
        if info.get("access_groups"):
            self._remarks.left_out(
                f"{place}.model_info.access_groups", "name the models in keys, or put the channel into groups"
            )
        known = frozenset({*COSTS, "access_groups", "id", "db_model"})
        self._remarks.others(f"{place}.model_info", info, known, "are known of models here, or not needed")
        self._remarks.others(
            place, fields, frozenset({"model_name", "litellm_params", "model_info"}), "have no counterpart"
        )
