"""What a key can be limited to is what the edge calls its endpoints."""

from services.edge.routes import SELF_SERVICE, Match, Route
from trunkline.protocol import registry
from trunkline.protocol.names import ENDPOINT_NAMES, OPENAI_CHAT

OPEN_TO_ALL = {Route.MODELS, Route.MODEL, *SELF_SERVICE}


def test_every_endpoint_but_the_lists_of_models_and_self_service_can_be_named() -> None:
    routes = [Match(route, OPENAI_CHAT) for route in Route if route is not Route.BESIDE and route not in OPEN_TO_ALL]
    beside = [Match(Route.BESIDE, OPENAI_CHAT, endpoint=name) for name in registry.ENDPOINTS]
    assert sorted(match.label for match in (*routes, *beside)) == sorted(ENDPOINT_NAMES)
