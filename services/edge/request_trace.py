"""What the trace of a request says of it at the edge: ids, figures and configured names, nothing that anybody typed."""

from services.edge.client_job import ClientJob
from services.edge.routes import METHODS, SELF_SERVICE, Route
from trunkline.protocol import gen_ai
from trunkline.runtime.tracer import Attributes, AttributeValue, Span

_WITHOUT_JOB = frozenset({Route.MODELS, Route.MODEL, Route.COUNT_TOKENS, *SELF_SERVICE})
_OTHER_METHOD = "_OTHER"
"""As the conventions for HTTP spans call a method that is not known."""


def event(client: ClientJob, name: str, attributes: Attributes | None = None) -> None:
    """Note that something happened to a request, if it is traced."""
    if client.span is not None:
        client.span.event(name, attributes)


def end_span(client: ClientJob, span: Span, route: str) -> None:
    """End the span of a request that has ended.

    Args:
        client: the request.
        span: of it.
        route: the metric label of its endpoint.
    """
    method = client.exchange.request.method
    known = client.match is not None and method in METHODS[client.match.route]
    attributes: dict[str, AttributeValue] = {
        "http.request.method": method if known else _OTHER_METHOD,
        "http.response.status_code": client.status,
        "trunkline.route": route,
        "trunkline.request_id": client.request_id,
    }
    name = route
    if hasattr(client, "key"):
        attributes |= {"trunkline.account": client.key.policy.account, "trunkline.key": client.key.policy.key}
    if client.match is not None and client.match.route not in _WITHOUT_JOB:
        operation = gen_ai.operation_of(client.words)
        attributes[gen_ai.OPERATION_NAME] = operation
        name = operation
        if hasattr(client, "model"):
            # From here on a name is a configured one; before, it is what the client wrote.
            name = f"{operation} {client.model.name}"
            attributes |= _of_job(client)
    span.end(client.outcome, attributes, name=name)


def _of_job(client: ClientJob) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        gen_ai.REQUEST_MODEL: client.model.name,
        gen_ai.REQUEST_STREAM: client.asked.stream,
        "trunkline.lane": client.model.lane,
        "trunkline.offers": client.offers,
    }
    if client.asked.max_output:
        attributes[gen_ai.REQUEST_MAX_TOKENS] = client.asked.max_output
    if client.channel:
        attributes["trunkline.channel"] = client.channel
        attributes[gen_ai.RESPONSE_MODEL] = client.served or client.model.name
    if client.first_byte and client.asked.stream:
        attributes[gen_ai.RESPONSE_FIRST_CHUNK_S] = client.first_byte - client.begun
    return attributes
