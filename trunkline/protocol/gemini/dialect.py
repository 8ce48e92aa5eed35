"""Google's generateContent as a dialect: one object for all its sides."""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

import msgspec

from trunkline.core.errors import Fault
from trunkline.core.usage import Units
from trunkline.protocol import names
from trunkline.protocol.client_limits import LimitState, openai_limit_lines
from trunkline.protocol.counted_usage import CountInput, state_usage
from trunkline.protocol.dialect import AnswerFrame, Call, ClientRequest, WholeAnswer, Written
from trunkline.protocol.error_response import ErrorResponse
from trunkline.protocol.events import Event
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.gemini import (
    answer,
    count,
    errors,
    event_reader,
    event_writer,
    models,
    request,
    request_reader,
    request_writer,
)
from trunkline.protocol.gemini.event_reader import GeminiEventReader
from trunkline.protocol.gemini.event_writer import GeminiEventWriter
from trunkline.protocol.gemini.stream import GeminiStreamRelay
from trunkline.protocol.gemini.usage import write_usage
from trunkline.protocol.model import Request
from trunkline.protocol.models import ModelCard
from trunkline.protocol.renaming import rename_model
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.vendor import VendorOptions

_COLLECTIONS = ("models/", "tunedModels/")
"""Where an upstream's name may say itself that it is; a bare one is a model."""


class Gemini:
    """See `protocol.dialect`."""

    name = names.GEMINI
    request_id_header = "x-request-id"
    carried_headers: tuple[str, ...] = ()
    states_input_first = False
    keepalive = b""

    # --- client --------------------------------------------------------------------------------------------------

    def read_head(self, body: bytes) -> ClientRequest:
        """See `ClientDialect`; the model and the stream flag are in the path."""
        return request.read_head(body)

    def read_request(self, body: bytes, *, stream: bool) -> Request:
        """See `ClientDialect`."""
        return request_reader.read_request(body, stream=stream)

    def count_input(self, body: bytes) -> int:
        """See `ClientDialect`."""
        return count.count_input(body)

    def stream_type(self, *, array: bool) -> str:
        """See `ClientDialect`."""
        return "application/json; charset=utf-8" if array else "text/event-stream; charset=utf-8"

    def event_writer(self, frame: AnswerFrame) -> GeminiEventWriter:
        """See `ClientDialect`."""
        return GeminiEventWriter(frame)

    def write_answer(self, events: Sequence[Event], frame: AnswerFrame) -> bytes:
        """See `ClientDialect`."""
        return event_writer.write_answer(events, frame)

    def render_error(self, fault: Fault, request_id: str) -> ErrorResponse:
        """See `ClientDialect`."""
        return errors.render_error(fault, request_id)

    def render_stream_error(self, fault: Fault, request_id: str, *, array: bool) -> bytes:
        """See `ClientDialect`."""
        return errors.render_stream_error(fault, request_id, array=array)

    def ends_stream(self, block: bytes) -> bool:
        """See `ClientDialect`: behind a reason to finish there may be more, and only the body's end is one."""
        return False

    def limit_lines(self, requests: LimitState | None, tokens: LimitState | None, wall_ms: int) -> bytes:
        """See `ClientDialect`."""
        return openai_limit_lines(requests, tokens)

    def render_models(self, cards: Iterable[ModelCard]) -> bytes:
        """See `ClientDialect`."""
        return models.render_models(cards)

    def render_model(self, card: ModelCard) -> bytes:
        """See `ClientDialect`."""
        return models.render_model(card)

    def read_count_head(self, body: bytes) -> ClientRequest:
        """See `TokenCounter`."""
        return request.read_count_head(body)

    def render_count(self, tokens: int) -> bytes:
        """See `TokenCounter`."""
        return count.render_count(tokens)

    # --- upstream ------------------------------------------------------------------------------------------------

    def call(self, model: str, *, stream: bool, options: VendorOptions) -> Call:
        """See `UpstreamDialect`; the base URL ends in a version such as ``/v1beta``."""
        name = model if model.startswith(_COLLECTIONS) else f"models/{model}"
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return Call(f"/{quote(name, safe='/@')}:{method}")

    def credential_header(self, secret: str, options: VendorOptions) -> bytes:
        """See `UpstreamDialect`."""
        return f"x-goog-api-key: {secret}\r\n".encode("latin-1")

    def carried(self, headers: Mapping[str, str], options: VendorOptions) -> bytes:
        """See `UpstreamDialect`."""
        return b""

    def write_request(self, request: Request, crossing: Crossing, model: str, options: VendorOptions) -> Written:
        """See `UpstreamDialect`."""
        return request_writer.write_request(request, crossing, model, options)

    def event_reader(self, written: Written, options: VendorOptions) -> GeminiEventReader:
        """See `UpstreamDialect`."""
        return GeminiEventReader(written)

    def read_answer(self, body: bytes, written: Written, options: VendorOptions) -> list[Event]:
        """See `UpstreamDialect`."""
        return event_reader.read_answer(body, written)

    # --- relay ---------------------------------------------------------------------------------------------------

    def prepare(self, body: bytes, *, upstream_model: str | None, ask_usage: bool, rules: RequestRules | None) -> bytes:
        """See `RelayDialect`; the model is in the path, and usage is always reported."""
        return request.prepare(body, rules=rules)

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
    ) -> GeminiStreamRelay:
        """See `RelayDialect`."""
        return GeminiStreamRelay(public_model=public_model, array=array, count_input=count_input)

    def read_whole(self, body: bytes) -> WholeAnswer:
        """See `RelayDialect`."""
        return answer.read_whole(body)

    def state_usage(self, body: bytes, units: Units) -> bytes:
        """See `RelayDialect`."""
        return state_usage(body, msgspec.json.encode(write_usage(units)), key="usageMetadata")

    def rename(self, body: bytes, public_model: str) -> bytes:
        """See `RelayDialect`."""
        return rename_model(body, public_model, key="modelVersion")
