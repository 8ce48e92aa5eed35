"""What imported channels of a vendor are given is what the page on dialects recommends."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from trunkline.policy.imports.vendors import VENDORS

PAGE = (Path(__file__).parents[3] / "docs/dialects.md").read_text()
RECOMMENDED: dict[str, Any] = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])


@pytest.mark.parametrize(
    ("vendor", "recommended"),
    [
        ("deepseek", "deepseek"),
        ("dashscope", "qwen"),
        ("moonshot", "moonshot"),
        ("zhipu", "zhipu"),
        ("xai", "xai"),
        ("mistral", "mistral"),
        ("openrouter", "openrouter"),
        ("together_ai", "together"),
        ("fireworks_ai", "fireworks"),
    ],
)
def test_vendors_with_an_address_of_their_own(vendor: str, recommended: str) -> None:
    assert {"base_url": VENDORS[vendor].base_url, **VENDORS[vendor].fields} == RECOMMENDED[recommended]


@pytest.mark.parametrize(("vendor", "recommended"), [("hosted_vllm", "vllm"), ("ollama", "ollama"), ("zai", "zhipu")])
def test_vendors_at_other_addresses(vendor: str, recommended: str) -> None:
    fields = {name: value for name, value in RECOMMENDED[recommended].items() if name != "base_url"}
    assert VENDORS[vendor].fields == fields
