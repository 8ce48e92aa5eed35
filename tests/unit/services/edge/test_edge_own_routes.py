"""Where clients ask for what is their own, in all the forms that people paste."""

import pytest

from services.edge.routes import METHODS, SELF_SERVICE, Match, Route, find_route
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT

SUBSCRIPTION, USAGE = Match(Route.BILLING_SUBSCRIPTION, ""), Match(Route.BILLING_USAGE, "")


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("/v1/key", Match(Route.KEY, "")),
        ("/key", Match(Route.KEY, "")),
        ("/v1/key/", Match(Route.KEY, "")),
        ("/v1/v1/key", Match(Route.KEY, "")),
        ("/anthropic/v1/key", Match(Route.KEY, ANTHROPIC)),
        ("/v1beta/key", Match(Route.KEY, GEMINI)),
        ("/openai/v1/usage", Match(Route.USAGE, OPENAI_CHAT)),
        ("/v1/usage", Match(Route.USAGE, "")),
        ("/v1/generations/0198-abc", Match(Route.GENERATION, "", request_id="0198-abc")),
        ("/v1/generation", Match(Route.GENERATION, "")),
        ("/v1/dashboard/billing/subscription", SUBSCRIPTION),
        ("/dashboard/billing/subscription", SUBSCRIPTION),
        ("/v1/dashboard/billing/usage", USAGE),
        ("/dashboard/billing/usage", USAGE),
    ],
)
def test_a_path_means(path: str, match: Match) -> None:
    assert find_route(path) == match
    assert METHODS[match.route] == ("GET", "HEAD")
    assert match.route in SELF_SERVICE


@pytest.mark.parametrize("path", ["/v1/keys", "/v1/generations", "/dashboard/billing", "/openai/deployments/d/usage"])
def test_what_is_close_is_nothing(path: str) -> None:
    assert find_route(path) is None
