"""Whatever is in a file of another gateway: there is a result with remarks, or a list of faults, and never a crash."""

import contextlib
from typing import Any

import msgspec
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.policy.configuration import ConfigurationError, Names
from trunkline.policy.configuration_file import load
from trunkline.policy.imports import Format, import_text
from trunkline.policy.imports.litellm_deployments import COSTS
from trunkline.policy.imports.new_api import Part
from trunkline.policy.imports.new_api_types import TYPES
from trunkline.policy.imports.remarks import Imported
from trunkline.policy.imports.writing import yaml_text
from trunkline.policy.keys import mint

NOW_MS = 1_790_000_000_000

texts = st.text(max_size=20) | st.sampled_from(
    ["gpt-4o", "openai/gpt-4o", "azure/x", "*", "os.environ/KEY", "default", "a,b,,c", '{"a": "b"}', "[1, 2]", "1e400"]
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def some(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings that have some of the names."""
    return st.dictionaries(st.sampled_from(names) | texts, values, max_size=8)


deployments = st.fixed_dictionaries(
    {"model_name": texts, "litellm_params": st.one_of(values, st.builds(lambda a, b: {**b, "model": a}, texts, some(
        *("api_key", "api_base", "api_version", "rpm", "tpm", "timeout", "weight", "order", "extra_headers"),
        *("extra_body", "additional_drop_params", "temperature", "organization", *COSTS),
    )))},
    optional={"model_info": some(*COSTS)},
)  # fmt: skip
litellm_files = st.fixed_dictionaries(
    {"model_list": st.lists(deployments | values, max_size=4)},
    optional={
        "router_settings": some("fallbacks", "model_group_alias", "routing_strategy", "timeout") | values,
        "litellm_settings": values,
        "credential_list": values,
        "environment_variables": values,
    },
)
channels = st.builds(
    lambda number, models, rest: {"type": number, "models": models, **rest},
    st.sampled_from(sorted(TYPES)),
    texts,
    some(
        *("id", "key", "name", "group", "weight", "priority", "status", "base_url", "other", "model_mapping"),
        *("status_code_mapping", "param_override", "header_override", "channel_info", "setting"),
    ),
)
users = some("id", "username", "quota", "status", "group", "deleted_at")
tokens = some(
    *("user_id", "name", "status", "expired_time", "model_limits", "model_limits_enabled", "allow_ips", "group")
)
new_api_exports = st.fixed_dictionaries(
    {"channels": st.lists(channels | values, max_size=3)},
    optional={
        "options": some("ModelRatio", "CompletionRatio", "ModelPrice", "GroupRatio", "QuotaPerUnit") | values,
        "users": st.lists(users, max_size=3) | values,
        "tokens": st.lists(tokens, max_size=3) | values,
    },
)


def check_faults(faults: list[str]) -> None:
    assert faults
    assert all(faults)


def check(format_: Format, text: bytes) -> None:
    try:
        found = import_text(format_, text, tuple(Part), lambda: mint(bytes(64)), NOW_MS)
    except ConfigurationError as error:
        check_faults(error.faults)
        return
    assert isinstance(found, Imported)
    assert all(remark.message for remark in found.remarks)
    msgspec.json.encode(found)
    # What is wrong with it is said by whoever applies it, in its own words.
    again = yaml.safe_load(yaml_text(found.configuration))
    with contextlib.suppress(ConfigurationError):
        load(again, dict.fromkeys(found.variables, "secret"), Names(), NOW_MS)


@given(litellm_files)
@settings(deadline=None)
def test_any_litellm_file(document: dict[str, Any]) -> None:
    check(Format.LITELLM, yaml.safe_dump(document).encode())


@given(new_api_exports)
@settings(deadline=None)
def test_any_new_api_export(document: dict[str, Any]) -> None:
    check(Format.NEW_API, msgspec.json.encode(document))


@given(st.sampled_from(Format), values)
@settings(deadline=None)
def test_any_document(format_: Format, document: Any) -> None:
    check(format_, msgspec.json.encode(document))


@given(st.sampled_from(Format), st.binary(max_size=200) | st.text(alphabet='{}[]&*!|>-:,"\n aA1<', max_size=80))
@settings(deadline=None)
def test_any_bytes(format_: Format, text: bytes | str) -> None:
    check(format_, text if isinstance(text, bytes) else text.encode())
