"""The page on dialects names every option and dialect of a channel, and what it recommends is a configuration."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from trunkline.policy import configuration_file
from trunkline.policy.configuration import ConfigurationError, Names
from trunkline.protocol.names import UPSTREAMS
from trunkline.protocol.vendor import VendorOptions

PAGE = (Path(__file__).parents[3] / "docs/dialects.md").read_text()
RECOMMENDED: dict[str, Any] = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])


def rows(heading: str) -> list[str]:
    """Return the first column of the table under a heading's cell."""
    table = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0]
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)


def load(vendor: str, **fields: Any) -> VendorOptions:
    """Return the options of a channel for a vendor."""
    entry = {"base_url": "https://vendor.example/v1", **RECOMMENDED[vendor], **fields}
    channel = {"name": "c", "dialect": "openai", "credentials": ["sk-0"], "models": {"m": "m"}, **entry}
    parsed = {"channels": [channel], "models": [{"name": "m", "free": True}]}
    (loaded,) = configuration_file.load(parsed, {}, Names(), 0).channels
    return loaded.options


def test_every_option_is_on_the_page_in_its_order() -> None:
    assert rows("option") == list(VendorOptions.__struct_fields__)


def test_every_dialect_of_a_channel_is_on_the_page() -> None:
    assert rows("`dialect` of a channel") == list(UPSTREAMS)


@pytest.mark.parametrize("vendor", RECOMMENDED)
def test_what_is_recommended_is_a_configuration(vendor: str) -> None:
    said = RECOMMENDED[vendor].get("options", {})
    loaded = load(vendor)
    assert {name: getattr(loaded, name) for name in said} == {
        name: tuple(value) if isinstance(value, list) else value for name, value in said.items()
    }


def test_only_two_fields_can_be_forwarded() -> None:
    assert load("vllm", options={"forward_fields": ["top_k", "service_tier"]}).forward_fields == (
        "top_k",
        "service_tier",
    )
    with pytest.raises(ConfigurationError, match=r"forward_fields\[0\]"):
        load("vllm", options={"forward_fields": ["min_p"]})
