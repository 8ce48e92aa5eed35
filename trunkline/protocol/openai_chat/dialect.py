"""OpenAI's chat completions as a dialect: one object for all its sides."""

from collections.abc import Iterable, Mapping, Sequence

from trunkline.core.errors import Fault
from trunkline.core.usage import Units
from trunkline.protocol import names, openai_error, openai_models
from trunkline.protocol.client_limits import LimitState, openai_limit_lines
from trunkline.protocol.counted_usage import CountInput, state_usage
from trunkline.protocol.dialect import AnswerFrame, Call, ClientRequest, WholeAnswer, Written
from trunkline.protocol.error_response import ErrorResponse
from trunkline.protocol.events import Event
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.model import Request
from trunkline.protocol.models import ModelCard
from trunkline.protocol.openai_chat import (
    answer,
    answer_writer,
    count,
    errors,
    event_reader,
    request,
    request_reader,
    request_writer,
)
from trunkline.protocol.openai_chat.event_reader import ChatEventReader
from trunkline.protocol.openai_chat.event_writer import ChatEventWriter
from trunkline.protocol.openai_chat.stream import ChatStreamRelay
from trunkline.protocol.openai_chat.usage_writer import write_usage
from trunkline.protocol.renaming import rename_model
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.sse import last_event
from trunkline.protocol.vendor import VendorOptions


class OpenAIChat:
    """See `protocol.dialect`."""

    name = names.OPENAI_CHAT
    request_id_header = "x-request-id"
    carried_headers: tuple[str, ...] = ()
    states_input_first = False
    keepalive = (
        b'data: {"id":"","object":"chat.completion.chunk","created":0,"model":"",'
        b'"choices":[{"index":0,"delta":{},"finish_reason":null}]}\n\n'
    )
    """A chunk that says nothing: programs that watch for silence pass over comments."""

    # --- client ------------------------------------------------------------------------------------------------

    def read_head(self, body: bytes) -> ClientRequest:
        """See `ClientDialect`."""
        return request.read_head(body)

    def read_request(self, body: bytes, *, stream: bool) -> Request:
        """See `ClientDialect`."""
        return request_reader.read_request(body, stream=stream)

    def count_input(self, body: bytes) -> int:
        """See `ClientDialect`."""
        return count.count_input(body)

    def stream_type(self, *, array: bool) -> str:
        """See `ClientDialect`."""
        return "text/event-stream; charset=utf-8"

    def event_writer(self, frame: AnswerFrame) -> ChatEventWriter:
        """See `ClientDialect`."""
        return ChatEventWriter(frame)

    def write_answer(self, events: Sequence[Event], frame: AnswerFrame) -> bytes:
        """See `ClientDialect`."""
        return answer_writer.write_answer(events, frame)

    def render_error(self, fault: Fault, request_id: str) -> ErrorResponse:
        """See `ClientDialect`."""
        return openai_error.render_error(fault, request_id)

    def render_stream_error(self, fault: Fault, request_id: str, *, array: bool) -> bytes:
        """See `ClientDialect`."""
        return errors.render_stream_error(fault, request_id)

    def ends_stream(self, block: bytes) -> bool:
        """See `ClientDialect`."""
        return last_event(block).data == b"[DONE]"

    def limit_lines(self, requests: LimitState | None, tokens: LimitState | None, wall_ms: int) -> bytes:
        """See `ClientDialect`."""
        return openai_limit_lines(requests, tokens)

    def render_models(self, cards: Iterable[ModelCard]) -> bytes:
        """See `ClientDialect`."""
        return openai_models.render_models(cards)

    def render_model(self, card: ModelCard) -> bytes:
        """See `ClientDialect`."""
        return openai_models.render_model(card)

    # --- upstream ----------------------------------------------------------------------------------------------

    def call(self, model: str, *, stream: bool, options: VendorOptions) -> Call:
        """See `UpstreamDialect`."""
        return Call("/chat/completions")

    def credential_header(self, secret: str, options: VendorOptions) -> bytes:
        """See `UpstreamDialect`."""
        return f"authorization: Bearer {secret}\r\n".encode("latin-1")

    def carried(self, headers: Mapping[str, str], options: VendorOptions) -> bytes:
        """See `UpstreamDialect`."""
        return b""

    def write_request(self, request: Request, crossing: Crossing, model: str, options: VendorOptions) -> Written:
        """See `UpstreamDialect`."""
        return request_writer.write_request(request, crossing, model, options)

    def event_reader(self, written: Written, options: VendorOptions) -> ChatEventReader:
        """See `UpstreamDialect`."""
        return ChatEventReader(written, options)

    def read_answer(self, body: bytes, written: Written, options: VendorOptions) -> list[Event]:
        """See `UpstreamDialect`."""
        return event_reader.read_answer(body, written, options)

    # --- relay -------------------------------------------------------------------------------------------------

    def prepare(self, body: bytes, *, upstream_model: str | None, ask_usage: bool, rules: RequestRules | None) -> bytes:
        """See `RelayDialect`."""
        return request.prepare(body, upstream_model=upstream_model, ask_usage=ask_usage, rules=rules)

    def withheld(self, headers: Mapping[str, str], options: VendorOptions) -> tuple[str, ...]:
        """See `RelayDialect`."""
        return ()

    def without_proofs(self, body: bytes) -> bytes:
        """See `RelayDialect`. None here is bound to an account."""
        return body

    def relay(
        self,
        *,
        public_model: str | None,
        hide_usage: bool,
        array: bool,
        options: VendorOptions,
        count_input: CountInput | None = None,
    ) -> ChatStreamRelay:
        """See `RelayDialect`."""
        return ChatStreamRelay(
            public_model=public_model,
            hide_usage=hide_usage,
            lenient=options.lenient_end,
            count_input=count_input,
        )

    def read_whole(self, body: bytes) -> WholeAnswer:
        """See `RelayDialect`."""
        return answer.read_answer(body)

    def state_usage(self, body: bytes, units: Units) -> bytes:
        """See `RelayDialect`."""
        return state_usage(body, write_usage(units))

    def rename(self, body: bytes, public_model: str) -> bytes:
        """See `RelayDialect`."""
        return rename_model(body, public_model)
