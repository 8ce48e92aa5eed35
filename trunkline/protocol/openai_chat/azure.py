"""Azure's OpenAI service: chat completions under paths and a credential header of its own (DIALECTS section 6)."""

from urllib.parse import quote

from trunkline.protocol.dialect import Call
from trunkline.protocol.openai_chat.dialect import OpenAIChat
from trunkline.protocol.vendor import VendorOptions


class AzureOpenAI(OpenAIChat):
    """The upstream's side. A channel's base URL is the resource's bare host, without ``/openai``."""

    def call(self, model: str, *, stream: bool, options: VendorOptions) -> Call:
        """See `UpstreamDialect`; with an ``api_version`` the model is the deployment, and stands in the path."""
        if options.api_version:
            deployment, version = quote(model, safe=""), quote(options.api_version, safe="")
            return Call(f"/openai/deployments/{deployment}/chat/completions?api-version={version}")
        return Call("/openai/v1/chat/completions")

    def credential_header(self, secret: str, options: VendorOptions) -> bytes:
        """See `UpstreamDialect`."""
        return f"api-key: {secret}\r\n".encode("latin-1")
