"""LiteLLM's config.yaml: what becomes of deployments, router settings and the rest, and that nothing goes silently."""

from typing import Any

import pytest

from trunkline.policy.configuration import ConfigurationError, Names
from trunkline.policy.configuration_file import load
from trunkline.policy.imports import Format, import_text
from trunkline.policy.imports.remarks import Fate, Imported
from trunkline.policy.keys import mint

NOW_MS = 1_790_000_000_000
FILE = """
model_list:
  - model_name: fast
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: os.environ/OPENAI_API_KEY
      timeout: 90
      stream_timeout: 12.5
      temperature: 0.2
      max_retries: 4
    model_info: {input_cost_per_token: 1.5e-07, output_cost_per_token: 6.0e-07, max_tokens: 16384}
  - model_name: fast
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: planted-literal-key
      timeout: 90
      stream_timeout: 12.5
      temperature: 0.2
    model_info: {input_cost_per_token: 1.5e-07, output_cost_per_token: 6.0e-07}
  - model_name: big
    litellm_params:
      model: azure/eu-deployment
      api_base: os.environ/AZURE_BASE
      api_version: "2024-10-21"
      litellm_credential_name: europe
      rpm: 600
      order: 2
      weight: 3
      extra_headers: {X-Team: research, X-Api-Token: planted-header-token}
  - model_name: claude
    litellm_params: {model: claude-sonnet-4-5}
  - model_name: local
    litellm_params: {model: ollama/llama3, api_base: "http://gpu-1:11434", extra_body: {num_ctx: 8192}}
  - model_name: bedrock-claude
    litellm_params: {model: bedrock/claude, aws_secret_access_key: planted-aws-secret}
  - model_name: "anything/*"
    litellm_params: {model: "openai/*"}
credential_list:
  - credential_name: europe
    credential_values: {api_key: planted-azure-key}
environment_variables: {AZURE_BASE: "https://eu.openai.azure.com/"}
router_settings:
  routing_strategy: latency-based-routing
  timeout: 240
  model_group_alias: {cheap: fast, hidden-name: {model: claude, hidden: true}, broken: missing}
  fallbacks: [{big: [fast, nobody]}, {nobody: [fast]}]
  context_window_fallbacks: [{fast: [claude]}]
  num_retries: 3
  redis_password: planted-redis-password
litellm_settings: {default_fallbacks: [claude], drop_params: true, callbacks: [langfuse]}
general_settings: {master_key: planted-master-key}
guardrails: [{guardrail_name: g}]
"""


def imported(text: str) -> Imported:
    return import_text(Format.LITELLM, text.encode(), (), lambda: mint(bytes(64)), NOW_MS)


@pytest.fixture(scope="module")
def found() -> Imported:
    return imported(FILE)


def channel(found: Imported, name: str) -> dict[str, Any]:
    (one,) = (one for one in found.configuration["channels"] if one["name"] == name)
    return dict(one)


def test_the_result_is_a_configuration(found: Imported) -> None:
    environment = dict.fromkeys(found.variables, "a-secret")
    to_do = [remark.place for remark in found.remarks if "no price is known" in remark.message]
    assert to_do == ["models.big", "models.local"]
    models = [
        {**model, **({"free": True} if f"models.{model['name']}" in to_do else {})}
        for model in found.configuration["models"]
    ]
    configuration = load({**found.configuration, "models": models}, environment, Names(), NOW_MS)
    assert [one.name for one in configuration.channels] == ["openai", "azure", "anthropic", "ollama"]
    assert found.variables == ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")


def test_deployments_that_differ_in_their_key_are_credentials_of_one_channel(found: Imported) -> None:
    costs = {"input": 0.15, "output": 0.6}
    assert channel(found, "openai") == {
        "name": "openai",
        "dialect": "openai",
        "base_url": "https://api.openai.com/v1",
        "timeouts": {"total_s": 90.0, "first_token_s": 12.5},
        "params": {"default": {"temperature": 0.2}},
        "models": {"fast": "gpt-4o-mini", "cheap": "gpt-4o-mini"},
        "credentials": ["env:OPENAI_API_KEY", "planted-literal-key"],
        "weight": 200,
        "costs": {"fast": costs, "cheap": costs},
    }


def test_azure_with_a_shared_credential_a_limit_and_headers(found: Imported) -> None:
    assert channel(found, "azure") == {
        "name": "azure",
        "dialect": "azure",
        "base_url": "https://eu.openai.azure.com",
        "options": {"api_version": "2024-10-21"},
        "priority": -2,
        "timeouts": {"total_s": 240.0},
        "headers": {"set": {"x-team": "research"}},
        "models": {"big": "eu-deployment"},
        "credentials": [{"secret": "planted-azure-key", "rpm": 600}],
        "weight": 300,
    }


def test_an_upstream_without_a_credential_and_with_fields_of_its_own(found: Imported) -> None:
    local = channel(found, "ollama")
    assert (local["base_url"], local["credentials"]) == ("http://gpu-1:11434/v1", [])
    assert local["options"] == {"translated": True, "inline_images": True}
    assert local["params"] == {"set": {"num_ctx": 8192}}


def test_models_have_prices_a_strategy_and_what_takes_over(found: Imported) -> None:
    models = {model["name"]: model for model in found.configuration["models"]}
    price = {"input": 0.15, "output": 0.6}
    assert models["fast"] == {
        "name": "fast",
        "price": price,
        "strategy": "latency",
        "context_fallbacks": ["claude"],
        "fallbacks": ["claude"],
    }
    assert models["cheap"]["price"] == price
    assert models["big"]["fallbacks"] == ["fast"]
    assert models["claude"] == {"name": "claude", "strategy": "latency"}


@pytest.mark.parametrize(
    ("fate", "place", "words"),
    [
        (Fate.TAKEN, "model_list[0]", "channel openai"),
        (Fate.LEFT_OUT, "model_list[0].litellm_params", "max_retries"),
        (Fate.LEFT_OUT, "model_list[0].model_info", "max_tokens"),
        (Fate.CHANGED, "model_list[2].litellm_params.order", "priority -2"),
        (Fate.LEFT_OUT, "model_list[2].litellm_params.extra_headers.X-Api-Token", "may hold a secret"),
        (Fate.CHANGED, "model_list[3].litellm_params.api_key", "env:ANTHROPIC_API_KEY"),
        (Fate.LEFT_OUT, "model_list[5].litellm_params", "bedrock speaks none of our dialects"),
        (Fate.LEFT_OUT, "model_list[6]", "a pattern of models"),
        (Fate.CHANGED, "router_settings.model_group_alias.hidden-name", "it is listed, too"),
        (Fate.LEFT_OUT, "router_settings.model_group_alias.broken", "names no model"),
        (Fate.LEFT_OUT, "router_settings.fallbacks[0].big", "some of what takes over"),
        (Fate.LEFT_OUT, "router_settings.fallbacks[1].nobody", "was not taken"),
        (Fate.LEFT_OUT, "router_settings.num_retries", "plan"),
        (Fate.LEFT_OUT, "router_settings", "redis_password"),
        (Fate.LEFT_OUT, "litellm_settings.callbacks", "exports"),
        (Fate.LEFT_OUT, "general_settings.master_key", "TRUNKLINE_ADMIN_KEY"),
        (Fate.LEFT_OUT, "guardrails", "no counterpart"),
        (Fate.TO_DO, "", "ANTHROPIC_API_KEY"),
    ],
)
def test_every_part_has_its_remark(found: Imported, fate: Fate, place: str, words: str) -> None:
    assert any(one.fate is fate and one.place == place and words in one.message for one in found.remarks)


def test_no_remark_quotes_a_secret(found: Imported) -> None:
    assert "planted" not in str(found.remarks)


def test_limits_of_one_model_do_not_become_those_of_another() -> None:
    entries = "\n".join(
        f"  - {{model_name: {name}, litellm_params: {{model: openai/{name}, api_key: k, rpm: 5}}}}" for name in "ab"
    )
    channels = imported(f"model_list:\n{entries}\n").configuration["channels"]
    assert [(one["models"], one["credentials"]) for one in channels] == [
        ({"a": "a"}, [{"secret": "k", "rpm": 5}]),
        ({"b": "b"}, [{"secret": "k", "rpm": 5}]),
    ]


def test_of_several_prices_clients_pay_the_highest() -> None:
    found = imported(
        "model_list:\n"
        "  - {model_name: m, litellm_params: {model: openai/x, api_key: a, input_cost_per_token: 1.0e-6}}\n"
        "  - {model_name: m, litellm_params: {model: groq/y, api_key: b, input_cost_per_token: 2.0e-6}}\n"
    )
    assert found.configuration["models"] == [{"name": "m", "price": {"input": 2}}]
    assert [one["costs"] for one in found.configuration["channels"]] == [{"m": {"input": 1}}, {"m": {"input": 2}}]


@pytest.mark.parametrize("text", ["", "[]", "model_list: 3", "a: b", "model_list"])
def test_what_is_no_such_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="LiteLLM"):
        imported(text)
