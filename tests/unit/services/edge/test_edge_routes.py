"""Which endpoint a path means, in all the forms that people paste."""

import pytest

from services.edge.routes import Match, Route, find_route, suggested_dialect
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES

CHAT = Match(Route.CHAT, OPENAI_CHAT)
MESSAGES = Match(Route.MESSAGES, ANTHROPIC)
RESPONSES = Match(Route.RESPONSES, OPENAI_RESPONSES)


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("/v1/chat/completions", CHAT),
        ("/chat/completions", CHAT),
        ("/v1/v1/chat/completions", CHAT),
        ("/v1/chat/completions/", CHAT),
        ("/v1/chat/completions/chat/completions", CHAT),
        ("/v1/chat/completions/v1/chat/completions", CHAT),
        ("/v1/chat/completions/v1/models", Match(Route.MODELS, "")),
        ("/v1/chat/completions/dashboard/billing/usage", Match(Route.BILLING_USAGE, "")),
        ("/v1/messages/v1/messages", MESSAGES),
        ("/v1/messages/v1/messages/count_tokens", Match(Route.COUNT_TOKENS, ANTHROPIC)),
        ("/v1/responses/v1/responses", RESPONSES),
        ("/v1beta/openai/chat/completions", CHAT),
        ("/openai/v1/chat/completions", CHAT),
        ("/openai/deployments/gpt-4o/chat/completions", CHAT._replace(model="gpt-4o")),
        ("/v1/responses", RESPONSES),
        ("/openai/v1/responses", RESPONSES),
        ("/v1/responses/input_tokens", Match(Route.COUNT_TOKENS, OPENAI_RESPONSES)),
        ("/v1/messages", MESSAGES),
        ("/messages", MESSAGES),
        ("/v1/v1/messages", MESSAGES),
        ("/anthropic/v1/messages", MESSAGES),
        ("/v1/messages/count_tokens", Match(Route.COUNT_TOKENS, ANTHROPIC)),
        ("/v1beta/models/gemini-2.5-pro:generateContent", Match(Route.GENERATE, GEMINI, "gemini-2.5-pro")),
        ("/v1/models/gemini-2.5-pro:generateContent", Match(Route.GENERATE, GEMINI, "gemini-2.5-pro")),
        ("/models/gemini-2.5-pro:generateContent", Match(Route.GENERATE, GEMINI, "gemini-2.5-pro")),
        ("/gemini/v1beta/models/a%3AstreamGenerateContent", Match(Route.STREAM_GENERATE, GEMINI, "a")),
        ("/v1beta/models/models/a:generateContent", Match(Route.GENERATE, GEMINI, "a")),
        ("/v1beta/models/vendor/model:free:generateContent", Match(Route.GENERATE, GEMINI, "vendor/model:free")),
        ("/v1beta/tunedModels/mine:generateContent", Match(Route.GENERATE, GEMINI, "mine")),
        ("/v1beta/models/a:countTokens", Match(Route.COUNT_TOKENS, GEMINI, "a")),
        (
            "/v1/projects/p/locations/us/publishers/google/models/a:streamGenerateContent",
            Match(Route.STREAM_GENERATE, GEMINI, "a"),
        ),
        ("/v1/models", Match(Route.MODELS, "")),
        ("/v1beta/models", Match(Route.MODELS, GEMINI)),
        ("/anthropic/v1/models", Match(Route.MODELS, ANTHROPIC)),
        ("/v1beta/openai/models", Match(Route.MODELS, OPENAI_CHAT)),
        ("/v1/models/vendor/model:free", Match(Route.MODEL, "", "vendor/model:free")),
        ("/v1beta/models/gemini-2.5-pro", Match(Route.MODEL, GEMINI, "gemini-2.5-pro")),
    ],
)
def test_a_path_means(path: str, match: Match) -> None:
    assert find_route(path) == match


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/files",
        "/v1/messages/batches",
        "/v1beta/models/a:predict",
        "/v2/chat/completions/x",
        "/openai/deployments/d/responses",
        "/openai/deployments/d/messages",
    ],
)
def test_an_unknown_path_means_nothing(path: str) -> None:
    assert find_route(path) is None


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/messages/batches", ANTHROPIC),
        ("/v1beta/cachedContents", GEMINI),
        ("/v1/models/a:predict", GEMINI),
        ("/v1/files", ""),
        ("/v1beta/openai/files", OPENAI_CHAT),
        ("/v1/models/vendor/model:free", ""),
    ],
)
def test_an_unknown_path_still_suggests_a_dialect(path: str, dialect: str) -> None:
    assert suggested_dialect(path) == dialect
