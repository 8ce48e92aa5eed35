"""Azure's paths and credential header."""

from trunkline.protocol.openai_chat.azure import AzureOpenAI
from trunkline.protocol.vendor import DEFAULTS, VendorOptions


def test_with_a_version_the_deployment_stands_in_the_path() -> None:
    options = VendorOptions(api_version="2026-01-01 preview")
    call = AzureOpenAI().call("my/gpt", stream=True, options=options)
    assert call.path == "/openai/deployments/my%2Fgpt/chat/completions?api-version=2026-01-01%20preview"
    assert call.headers == b""


def test_without_one_the_newer_path_needs_none() -> None:
    assert AzureOpenAI().call("gpt", stream=False, options=DEFAULTS).path == "/openai/v1/chat/completions"


def test_the_key_has_a_header_of_its_own() -> None:
    assert AzureOpenAI().credential_header("secret", DEFAULTS) == b"api-key: secret\r\n"
    assert AzureOpenAI().name == "openai-chat"
