"""What a dialect is made of: its client's side, its upstream's side, and the relay between two of the same.

Each package ``protocol/<dialect>`` has one object for each side it offers, in its ``dialect`` module;
`protocol.registry` knows them all. The edge uses the client's side to read what routing needs and to answer errors;
the dispatcher uses both sides to translate, and the relay where no translation is needed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Protocol

import msgspec

from trunkline.core.errors import Fault
from trunkline.core.usage import Units
from trunkline.protocol.client_limits import LimitState
from trunkline.protocol.counted_usage import CountInput
from trunkline.protocol.error_response import ErrorResponse
from trunkline.protocol.events import Event
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.model import Request
from trunkline.protocol.models import ModelCard
from trunkline.protocol.routing_wish import RoutingWish
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.upstream_error import UpstreamError
from trunkline.protocol.vendor import VendorOptions

# --- The client's side ---------------------------------------------------------------------------------------------


class ClientRequest(msgspec.Struct, frozen=True):
    """What the edge needs to know of a request.

    Attributes:
        model: the public model name.
        stream: whether the answer is to be a stream.
        max_output: the client's own bound on output tokens, 0 for none; of one of the answers that it asks for.
        choices: how many answers it asks for; what is no number counts as one, since no provider takes it.
        wants_usage: whether a chat client asked for the usage chunk of a stream.
        array: a stream is wanted as one JSON array, piece by piece (Gemini without ``alt=sse``).
        raw: a stream is no event stream but plain bytes, such as sound: nothing can be said in it when it breaks.
        named: hash of the name that the client gives the conversation in the body, 0 for none.
        opening: hash of what the conversation begins with, 0 for none; it may be left out where there is a name.
        beside: what is asked for and paid by other units than tokens, such as images and characters; None for nothing.
        variant: of the images, as `core.usage.image_variant` has it.
        wants_cost: the client asked for what the answer costs, in the answer.
        wish: what else it wishes of the routing; None for nothing.
    """

    model: str
    stream: bool
    max_output: int = 0
    choices: int = 1
    wants_usage: bool = False
    array: bool = False
    raw: bool = False
    named: int = 0
    opening: int = 0
    beside: Units | None = None
    variant: str = ""
    wants_cost: bool = False
    wish: RoutingWish | None = None


class AnswerFrame(msgspec.Struct, frozen=True):
    """What a writer of answers needs beside the events.

    Attributes:
        id: unique; the writer puts its dialect's prefix before it.
        model: the public name.
        created: Unix time in seconds.
        wants_usage, array: as in `ClientRequest`.
        input_estimate: input tokens as counted here, for a dialect that states them before the provider does.
    """

    id: str
    model: str
    created: int
    wants_usage: bool = False
    array: bool = False
    input_estimate: int = 0


class EventWriter(Protocol):
    """Writes a stream in a client's dialect: a machine with at most one open block."""

    def write(self, event: Event) -> bytes:
        """Return what the client gets for an event; may be nothing. `StreamError` is never given to it."""


class Conversant(Protocol):
    """What a translation needs of the client's side."""

    name: str
    states_input_first: bool
    """Whether a stream states its input tokens before the provider may have told them."""

    def read_request(self, body: bytes, *, stream: bool) -> Request:
        """Return the neutral request.

        Raises:
            FaultError: ``client_bad_request``: something in it cannot be understood; names the field.
        """

    def count_input(self, body: bytes) -> int:
        """Return an estimate of a request's input tokens. Never raises, takes bounded time."""

    def stream_type(self, *, array: bool) -> str:
        """Return the content type of a stream."""

    def event_writer(self, frame: AnswerFrame) -> EventWriter:
        """Return a writer for one stream."""

    def write_answer(self, events: Sequence[Event], frame: AnswerFrame) -> bytes:
        """Return a whole answer, made of events that end with `events.MessageEnd`."""


class ClientDialect(Conversant, Protocol):
    """The client's side of a dialect."""

    request_id_header: str
    """The response header that carries our request id."""
    carried_headers: tuple[str, ...]
    """Request headers that go along to an upstream of the same dialect."""
    keepalive: bytes
    """What may stand between two events of a stream to show that it lives; empty where the SDKs bear nothing
    (DIALECTS section 3.3)."""

    def read_head(self, body: bytes) -> ClientRequest:
        """Return what routing needs, after checking that all of the body is valid JSON in UTF-8.

        Raises:
            FaultError: ``client_bad_json`` or ``client_bad_request``, with the field at fault as ``param``.
        """

    def render_error(self, fault: Fault, request_id: str) -> ErrorResponse:
        """Return the response for a fault that is known before the answer's head was sent."""

    def render_stream_error(self, fault: Fault, request_id: str, *, array: bool) -> bytes:
        """Return what ends a broken stream, so that the dialect's SDK raises on it."""

    def ends_stream(self, block: bytes) -> bool:
        """Return whether a client reads no further than the last event of a block; False where that cannot be told.

        An error behind it would be a second end.
        """

    def limit_lines(self, requests: LimitState | None, tokens: LimitState | None, wall_ms: int) -> bytes:
        """Return response header lines about the client's own limits, each ending in CRLF.

        Args:
            requests: of the tightest limit on requests, None where there is none.
            tokens: as ``requests``, on tokens.
            wall_ms: Unix time in milliseconds.
        """

    def render_models(self, cards: Iterable[ModelCard]) -> bytes:
        """Return the models list."""

    def render_model(self, card: ModelCard) -> bytes:
        """Return one model."""


class TokenCounter(Protocol):
    """What a client's side has beside, where its dialect can ask for the number of input tokens."""

    def read_count_head(self, body: bytes) -> ClientRequest:
        """As `ClientDialect.read_head`, for a question for the count."""

    def render_count(self, tokens: int) -> bytes:
        """Return the answer."""


# --- The upstream's side -------------------------------------------------------------------------------------------


class Call(msgspec.Struct, frozen=True):
    """Where and how an upstream is called, without its credential.

    Attributes:
        path: behind the channel's base URL, with its query.
        headers: finished header lines, each ending in CRLF.
    """

    path: str
    headers: bytes = b""


class Written(msgspec.Struct, frozen=True):
    """A request in an upstream's words.

    Attributes:
        body: JSON.
        names: tools whose names the target would refuse: as written to as the client knows them.
        unwrap_tool: a tool that stands for a schema (its arguments are the answer's text); empty for none.
        unwrap_field: names of tools, as written, whose one string field is a custom tool's text.
    """

    body: bytes
    names: dict[str, str] = {}
    unwrap_tool: str = ""
    unwrap_field: tuple[str, ...] = ()


class EventReader(Protocol):
    """Reads an upstream's stream: bytes of any chunking in, events out. Never raises; see `protocol.events`."""

    def receive(self, chunk: bytes) -> list[Event]:
        """Return the events that are whole now."""

    def finish(self) -> list[Event]:
        """The body has ended; returns the last events, `MessageEnd` or `StreamError` at the latest here."""


class UpstreamDialect(Protocol):
    """The upstream's side of a dialect."""

    name: str

    def call(self, model: str, *, stream: bool, options: VendorOptions) -> Call:
        """Return how a model is called."""

    def carried(self, headers: Mapping[str, str], options: VendorOptions) -> bytes:
        """Return the header lines for those of the client's that `ClientDialect.carried_headers` names.

        Args:
            headers: of a client of the same dialect; empty for another's.
            options: of the channel.
        """

    def credential_header(self, secret: str, options: VendorOptions) -> bytes:
        """Return the one header line that carries the credential, ending in CRLF."""

    def write_request(self, request: Request, crossing: Crossing, model: str, options: VendorOptions) -> Written:
        """Return a neutral request in this dialect.

        Args:
            request: of another dialect.
            crossing: told of everything that is not carried as it is.
            model: the provider's name for it.
            options: of the channel.

        Raises:
            FaultError: ``client_bad_request``: it cannot be carried; names the field.
        """

    def event_reader(self, written: Written, options: VendorOptions) -> EventReader:
        """Return a reader for one stream that answers ``written``."""

    def read_answer(self, body: bytes, written: Written, options: VendorOptions) -> list[Event]:
        """Return the events of a whole answer with status 200. Never raises."""


# --- Within one dialect ----------------------------------------------------------------------------------------------


class StreamRelay(Protocol):
    """Passes a stream on within its dialect, and reads beside it what the gateway must know.

    Attributes:
        first_output: whether any output has come.
        error: what ended the stream; what was returned until then are whole events.
        finish_reason: the provider's word for why the answer ended; empty until it comes, and where none does.
        open_ended: only the end of its body says that it is whole, as of plain sound: a cut is never an end.
    """

    first_output: bool
    error: UpstreamError | None
    finish_reason: str
    open_ended: ClassVar[bool]

    @property
    def complete(self) -> bool:
        """Whether the body may end here as a success."""

    @property
    def units(self) -> Units | None:
        """What the provider reported last; None if nothing usable."""

    @property
    def opening(self) -> Units | None:
        """What the provider said of the input when the answer began; None where it says nothing then.

        It counts where the answer breaks off before a report: otherwise a client that leaves would pay the full price
        for what was read from a cache.
        """

    def output_tokens_counted(self) -> int:
        """Return the tokens of the output so far, counted here."""

    def receive(self, chunk: bytes) -> bytes:
        """Return what the client gets now: whole events only, so it may be nothing."""

    def finish(self) -> bytes:
        """Return what the client gets at the end of the body."""


class WholeAnswer(msgspec.Struct, frozen=True):
    """What the dispatcher needs to know of a whole answer.

    Attributes:
        units: as the provider reported them; None if it did not.
        output_tokens_counted: of its text; counted only where ``units`` is None.
        error: why it is no answer, although its status said so; None for a good one.
        output: whether there is anything in it that a client pays for where ``units`` is None.
        opening: what the provider said of the input although ``units`` is None.
        finish_reason: its word for why the answer ended; empty if it said none.
    """

    units: Units | None
    output_tokens_counted: int
    error: UpstreamError | None
    output: bool = True
    opening: Units | None = None
    finish_reason: str = ""

    @property
    def valid(self) -> bool:
        """Whether it may be relayed."""
        return self.error is None


class RelayDialect(Protocol):
    """What is needed where client and upstream speak the same."""

    name: str

    def prepare(self, body: bytes, *, upstream_model: str | None, ask_usage: bool, rules: RequestRules | None) -> bytes:
        """Return the body for an upstream; the very same object when nothing has to change.

        Only these change, each in its place: the model, our private fields, what ``rules`` name, and the wish for usage
        in a stream where ``ask_usage``.
        """

    def withheld(self, headers: Mapping[str, str], options: VendorOptions) -> tuple[str, ...]:
        """Return the top-level fields that belong to a header value which this channel's provider does not get.

        Args:
            headers: of the client's, those that `ClientDialect.carried_headers` names.
            options: of the channel.
        """

    def without_proofs(self, body: bytes) -> bytes:
        """Return a request without its proofs of reasoning, for a provider's account that cannot read them."""

    def relay(
        self,
        *,
        public_model: str | None,
        hide_usage: bool,
        array: bool,
        options: VendorOptions,
        count_input: CountInput | None = None,
    ) -> StreamRelay:
        """Return a relay for one stream.

        Args:
            public_model: what the model is called in it; None where that needs no change.
            hide_usage: the client did not ask for usage, in a dialect where one has to.
            array: as in `ClientRequest`.
            options: of the channel.
            count_input: with it a client that expects usage gets a count where the provider reports none, at the end
                of the stream, and every byte of the provider's before. None leaves the usage out.
        """

    def read_whole(self, body: bytes) -> WholeAnswer:
        """Return what a body says that came with status 200. Never raises."""

    def state_usage(self, body: bytes, units: Units) -> bytes:
        """Return a valid answer that reports no usage with a report of units, every other byte as it was."""

    def rename(self, body: bytes, public_model: str) -> bytes:
        """Return a valid answer under the public model name, every other byte as it was."""
