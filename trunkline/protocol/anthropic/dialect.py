"""Anthropic's Messages as a dialect: one object for all its sides."""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from trunkline.core.errors import Fault
from trunkline.core.usage import Units
from trunkline.protocol import names
from trunkline.protocol.anthropic import (
    answer,
    count,
    errors,
    event_reader,
    event_writer,
    limits,
    models,
    request,
    request_reader,
    request_writer,
)
from trunkline.protocol.anthropic.event_reader import AnthropicEventReader
from trunkline.protocol.anthropic.event_writer import AnthropicEventWriter
from trunkline.protocol.anthropic.stream import AnthropicStreamRelay
from trunkline.protocol.anthropic.usage import render_usage
from trunkline.protocol.client_limits import LimitState
from trunkline.protocol.counted_usage import CountInput, state_usage
from trunkline.protocol.dialect import AnswerFrame, Call, ClientRequest, WholeAnswer, Written
from trunkline.protocol.error_response import ErrorResponse
from trunkline.protocol.events import Event
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.model import Request
from trunkline.protocol.models import ModelCard
from trunkline.protocol.renaming import rename_model
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.sse import last_event
from trunkline.protocol.vendor import VendorOptions

VERSION = "2023-06-01"
"""For a client that names none, or speaks another dialect."""

_WORD = re.compile(r"[A-Za-z0-9._:/=+-]{1,128}", re.ASCII)
"""What a version or a beta may look like; anything else is not passed on in a header."""


_BETA_FIELDS = {
    "context-management": "context_management",
    "mcp-client": "mcp_servers",
    "code-execution": "container",
    "skills": "container",
    "fast-mode": "speed",
    "structured-outputs": "output_format",
}
"""Betas without their dates, and the top-level field that each brings."""


class Anthropic:
    """See `protocol.dialect`."""

    name = names.ANTHROPIC
    request_id_header = "request-id"
    carried_headers: tuple[str, ...] = ("anthropic-version", "anthropic-beta")
    states_input_first = True
    keepalive = b'event: ping\ndata: {"type": "ping"}\n\n'

    # --- client ------------------------------------------------------------------------------------------------

    def read_head(self, body: bytes) -> ClientRequest:
        """See `ClientDialect`."""
        return request.read_head(body)

    def read_count_head(self, body: bytes) -> ClientRequest:
        """See `TokenCounter`."""
        return request.read_count_head(body)

    def render_count(self, tokens: int) -> bytes:
        """See `TokenCounter`."""
        return msgspec.json.encode({"input_tokens": tokens})

    def read_request(self, body: bytes, *, stream: bool) -> Request:
        """See `ClientDialect`."""
        return request_reader.read_request(body, stream=stream)

    def count_input(self, body: bytes) -> int:
        """See `ClientDialect`."""
        return count.count_input(body)

    def stream_type(self, *, array: bool) -> str:
        """See `ClientDialect`."""
        return "text/event-stream; charset=utf-8"

    def event_writer(self, frame: AnswerFrame) -> AnthropicEventWriter:
        """See `ClientDialect`."""
        return AnthropicEventWriter(frame)

    def write_answer(self, events: Sequence[Event], frame: AnswerFrame) -> bytes:
        """See `ClientDialect`."""
        return event_writer.write_answer(events, frame)

    def render_error(self, fault: Fault, request_id: str) -> ErrorResponse:
        """See `ClientDialect`."""
        return errors.render_error(fault, request_id)

    def render_stream_error(self, fault: Fault, request_id: str, *, array: bool) -> bytes:
        """See `ClientDialect`."""
        return errors.render_stream_error(fault, request_id)

    def ends_stream(self, block: bytes) -> bool:
        """See `ClientDialect`. Its SDKs go by the event's name."""
        return last_event(block).event == "message_stop"

    def limit_lines(self, requests: LimitState | None, tokens: LimitState | None, wall_ms: int) -> bytes:
        """See `ClientDialect`."""
        return limits.limit_lines(requests, tokens, wall_ms)

    def render_models(self, cards: Iterable[ModelCard]) -> bytes:
        """See `ClientDialect`."""
        return models.render_models(cards)

    def render_model(self, card: ModelCard) -> bytes:
        """See `ClientDialect`."""
        return models.render_model(card)

    # --- upstream ----------------------------------------------------------------------------------------------

    def call(self, model: str, *, stream: bool, options: VendorOptions) -> Call:
        """See `UpstreamDialect`. The base URL ends in the version."""
        return Call("/messages")

    def credential_header(self, secret: str, options: VendorOptions) -> bytes:
        """See `UpstreamDialect`. Exactly one: with two, some hosts prefer one and some refuse."""
        line = f"authorization: Bearer {secret}\r\n" if options.auth_bearer else f"x-api-key: {secret}\r\n"
        return line.encode("latin-1")

    def carried(self, headers: Mapping[str, str], options: VendorOptions) -> bytes:
        """See `UpstreamDialect`. The version's line always, and one for the betas that the channel knows."""
        version = headers.get("anthropic-version", "").strip()
        lines = f"anthropic-version: {version if _WORD.fullmatch(version) else VERSION}\r\n"
        if known := self._betas(headers, options):
            lines += f"anthropic-beta: {','.join(known)}\r\n"
        return lines.encode("latin-1")

    def _betas(self, headers: Mapping[str, str], options: VendorOptions) -> list[str]:
        betas = [beta.strip() for beta in headers.get("anthropic-beta", "").split(",")]
        known = [beta for beta in betas if _WORD.fullmatch(beta) and ("*" in options.betas or beta in options.betas)]
        return list(dict.fromkeys(known))

    def write_request(self, request: Request, crossing: Crossing, model: str, options: VendorOptions) -> Written:
        """See `UpstreamDialect`."""
        return request_writer.write_request(request, crossing, model, options)

    def event_reader(self, written: Written, options: VendorOptions) -> AnthropicEventReader:
        """See `UpstreamDialect`."""
        return AnthropicEventReader(written, lenient=options.lenient_end)

    def read_answer(self, body: bytes, written: Written, options: VendorOptions) -> list[Event]:
        """See `UpstreamDialect`."""
        return event_reader.read_answer(body, written, lenient=options.lenient_end)

    # --- relay -------------------------------------------------------------------------------------------------

    def prepare(self, body: bytes, *, upstream_model: str | None, ask_usage: bool, rules: RequestRules | None) -> bytes:
        """See `RelayDialect`."""
        return request.prepare(body, upstream_model=upstream_model, rules=rules)

    def withheld(self, headers: Mapping[str, str], options: VendorOptions) -> tuple[str, ...]:
        """See `RelayDialect`. A body field whose beta is filtered goes with it, or the provider refuses it."""
        known = self._betas(headers, options)
        asked = [beta.strip() for beta in headers.get("anthropic-beta", "").split(",")]
        return tuple(
            field
            for beta in asked
            if beta and beta not in known
            for name, field in _BETA_FIELDS.items()
            if beta.startswith(name)
        )

    def without_proofs(self, body: bytes) -> bytes:
        """See `RelayDialect`. A signature is bound to no account."""
        return body

    def relay(
        self,
        *,
        public_model: str | None,
        hide_usage: bool,
        array: bool,
        options: VendorOptions,
        count_input: CountInput | None = None,
    ) -> AnthropicStreamRelay:
        """See `RelayDialect`."""
        return AnthropicStreamRelay(public_model=public_model, lenient=options.lenient_end, count_input=count_input)

    def read_whole(self, body: bytes) -> WholeAnswer:
        """See `RelayDialect`."""
        return answer.read_whole(body)

    def state_usage(self, body: bytes, units: Units) -> bytes:
        """See `RelayDialect`."""
        return state_usage(body, render_usage(units))

    def rename(self, body: bytes, public_model: str) -> bytes:
        """See `RelayDialect`."""
        return rename_model(body, public_model)
