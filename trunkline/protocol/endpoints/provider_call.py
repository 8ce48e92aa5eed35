"""Where the JSON endpoints call a provider, and what a client is told where it does not offer them."""

from urllib.parse import quote

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.dialect import Call
from trunkline.protocol.endpoint import Provider
from trunkline.protocol.names import UPSTREAM_AZURE, UPSTREAM_OPENAI

JSON = "application/json"
EVENT_STREAM = "text/event-stream; charset=utf-8"

_COLLECTIONS = ("models/", "tunedModels/")


def openai_call(provider: Provider, tail: str, offer: str) -> Call:
    """Return the call of an endpoint in OpenAI's form.

    Args:
        provider: of the dialect ``openai`` or ``azure``. Azure's base URL is the resource's bare host; its older paths,
            for a channel with an ``api_version``, name the deployment (DIALECTS section 6).
        tail: the endpoint's path.
        offer: what the endpoint offers, in the plural, for the error.

    Raises:
        FaultError: ``client_bad_request``: the provider does not offer it.
    """
    if provider.dialect == UPSTREAM_AZURE:
        if not provider.options.api_version:
            return Call(f"/openai/v1{tail}")
        deployment, version = quote(provider.model, safe=""), quote(provider.options.api_version, safe="")
        return Call(f"/openai/deployments/{deployment}{tail}?api-version={version}")
    if provider.dialect != UPSTREAM_OPENAI:
        raise not_offered(offer)
    return Call(tail)


def gemini_call(model: str, method: str) -> Call:
    """Return the call of a method of a Gemini model, behind a base URL that ends in a version."""
    return Call(f"/{quote(gemini_resource(model), safe='/')}:{method}")


def gemini_resource(model: str) -> str:
    """Return a Gemini model's name as paths and bodies have it, with its collection."""
    return model if model.startswith(_COLLECTIONS) else f"models/{model}"


def not_offered(offer: str) -> FaultError:
    """Return the error for a provider without the endpoint. Another provider of the model may have it."""
    message = f"This model's provider offers no {offer}. Use a model whose provider does."
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param="model"))
