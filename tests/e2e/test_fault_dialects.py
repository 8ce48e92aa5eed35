"""What an upstream can do wrong, as the official SDKs of other dialects see it: their own errors, never a clean end."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import anthropic
import pytest
from google.genai import errors as google

from tests.support.fault_kinds import Seen
from tests.support.fault_table import FAULTS
from tests.support.fault_trial import TIMEOUTS
from tests.support.faulty_upstream import MODEL, faulty_upstream
from tests.support.live_stack import StackPlan
from tests.support.sdk_clients import AnthropicClient, GeminiClient, Question
from trunkline.core.errors import ErrorType
from trunkline.protocol.names import ANTHROPIC, GEMINI

NAMES = (
    *("html", "cut", "cut-midway", "broken-midway", "error-midway", "overloaded-midway", "stalls-midway"),
    *("bad-key", "limits", "overlong", "bad-gateway", "overloaded", "error-inside", "two-bodies", "no-done"),
    *("cut-behind-its-end", "stays-behind-its-end"),
)

SHOWN: Mapping[ErrorType, tuple[tuple[int, str], tuple[int, str]]] = MappingProxyType(
    {
        ErrorType.UPSTREAM_BAD_REQUEST: ((400, "invalid_request_error"), (400, "INVALID_ARGUMENT")),
        ErrorType.UPSTREAM_RATE_LIMITED: ((429, "rate_limit_error"), (429, "RESOURCE_EXHAUSTED")),
        ErrorType.UPSTREAM_CREDENTIAL: ((502, "api_error"), (502, "UNAVAILABLE")),
        ErrorType.UPSTREAM_ERROR: ((502, "api_error"), (502, "UNAVAILABLE")),
        ErrorType.UPSTREAM_CUT: ((502, "api_error"), (502, "INTERNAL")),
        ErrorType.UPSTREAM_INVALID: ((502, "api_error"), (502, "INTERNAL")),
        ErrorType.UPSTREAM_OVERLOADED: ((529, "overloaded_error"), (503, "UNAVAILABLE")),
        ErrorType.UPSTREAM_TIMEOUT: ((504, "timeout_error"), (504, "DEADLINE_EXCEEDED")),
    }
)
"""Status and type of each error for an Anthropic client, and code and status for a Gemini client."""


class Case(NamedTuple):
    """A fault, in one form of answer, for a client of a dialect."""

    name: str
    streamed: bool
    dialect: str

    @property
    def model(self) -> str:
        return f"{self.name}-{'stream' if self.streamed else 'plain'}-{self.dialect}"

    @property
    def seen(self) -> Seen:
        return FAULTS[self.name].of(streamed=self.streamed)


CASES = [
    Case(name, streamed, dialect)
    for name in NAMES
    for streamed in FAULTS[name].forms()
    for dialect in (ANTHROPIC, GEMINI)
]


class Rig(NamedTuple):
    """An SDK for each dialect."""

    clients: Mapping[str, AnthropicClient | GeminiClient]


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    plan = StackPlan(edges=1, dispatchers=1)
    key = plan.account("acme")
    with faulty_upstream() as upstream:
        for case in CASES:
            timeouts = {"timeouts": TIMEOUTS} if FAULTS[case.name].late else {}
            base_url = upstream.base_url(case.name)
            plan.channel(case.model, case.model, base_url=base_url, upstream_model=MODEL, **timeouts)
        with plan.running() as stack:
            clients: dict[str, AnthropicClient | GeminiClient] = {
                ANTHROPIC: AnthropicClient(stack.edges[0], key),
                GEMINI: GeminiClient(stack.edges[0], key),
            }
            yield Rig(clients)
            for client in clients.values():
                client.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.model)
def test_a_fault_raises_in_the_sdk_of_another_dialect(rig: Rig, case: Case) -> None:
    client, seen = rig.clients[case.dialect], case.seen
    if seen.error is None:
        assert client.ask(Question(case.model), stream=case.streamed).text == "Yes, well."
        return
    with pytest.raises((anthropic.APIStatusError, google.APIError)) as caught:
        client.ask(Question(case.model), stream=case.streamed)
    error, (of_anthropic, of_gemini) = caught.value, SHOWN[seen.error]
    if isinstance(error, anthropic.APIStatusError):
        assert isinstance(error.body, dict)
        assert error.body["type"] == "error"
        assert error.body["error"]["type"] == of_anthropic[1]
        assert error.body["request_id"]
        assert error.status_code == (200 if seen.begun else of_anthropic[0])
    else:
        assert (error.code, error.status) == of_gemini
