"""A chat provider's answer, streamed or whole, as neutral events. The dispatcher holds one per translated answer.

Stated in DIALECTS sections 3.2, 3.4 and 4.1. What a provider says in a choice goes to that choice's `ChoiceReader`;
here are the things around it: events and their data, errors, usage, the end. The finish reason is held until the body
ends, since usage comes behind it, and so does more text from some vendors.

A stream may be answered with a whole body and the other way round; the first bytes tell, not what was asked for.
"""

import hashlib

import msgspec

from trunkline.core import limits
from trunkline.core.errors import FaultError
from trunkline.protocol.dialect import Written
from trunkline.protocol.events import Event, MessageEnd, MessageStart, StreamError, UsageReport
from trunkline.protocol.openai_chat.choice_reader import ChoiceReader, Reading
from trunkline.protocol.openai_chat.piece_reader import read_piece
from trunkline.protocol.openai_chat.pieces import AnswerPiece, ChoicePiece
from trunkline.protocol.openai_chat.usage import read_usage
from trunkline.protocol.openai_chat.wire import FAILED_FINISHES
from trunkline.protocol.sse import EventBuffer, event_data, parse_event, split_events
from trunkline.protocol.stream_start import StreamStart, without_space
from trunkline.protocol.upstream_error import (
    BROKEN_EVENT,
    CUT,
    UpstreamError,
    invalid_answer,
    read_upstream_error,
)
from trunkline.protocol.vendor import VendorOptions

CHOICE_INDEX_MAX = 127
"""OpenAI's bound on ``n``; larger indices are taken for this one."""

_MINT_SOURCE_BYTES_MAX = 64 * 1024
"""Of the request's end, from which ids are made: what is new in it since the last one."""

_NO_ANSWER = "The provider's answer is not a chat completion."


class ChatEventReader:
    """See `dialect.EventReader`.

    Args:
        written: the request that is answered.
        options: of the channel.
    """

    __slots__ = (
        "_buffer",
        "_choices",
        "_ended",
        "_first",
        "_id",
        "_lenient",
        "_reading",
        "_reasoning_field",
        "_seed",
        "_start",
        "_started",
        "_written",
    )

    def __init__(self, written: Written, options: VendorOptions) -> None:
        self._written = written
        self._reasoning_field = options.reasoning_field
        self._lenient = options.lenient_end
        self._reading = Reading(written, options.think_tags, self._mint)
        self._buffer = EventBuffer()
        self._start = StreamStart(limits.UPSTREAM_ANSWER_BYTES_MAX)
        self._id = ""
        self._seed = b""
        self._started = False
        self._ended = False
        self._choices: dict[int, ChoiceReader] = {}
        self._first: ChoiceReader | None = None

    def receive(self, chunk: bytes) -> list[Event]:
        """See `dialect.EventReader`."""
        out: list[Event] = []
        if self._ended:
            return out
        if not self._start.is_stream and not self._start.receive(chunk):
            if self._start.too_long:
                self._fail(invalid_answer("The provider's answer is too large."), out)
            return out
        try:
            block = self._buffer.receive(chunk)
            if block:
                self._read_block(block, out)
        except FaultError as error:
            self._fail(invalid_answer(error.fault.message), out)
        return out

    def finish(self) -> list[Event]:
        """See `dialect.EventReader`."""
        out: list[Event] = []
        if self._ended:
            return out
        try:
            if self._start.is_stream is False:
                self._read_whole(without_space(self._start.body), out)
            else:
                self._read_rest(self._buffer.finish(), out)
                if not self._ended:
                    self._end(out, lenient=False)
        except FaultError as error:
            self._fail(invalid_answer(error.fault.message), out)
        return out

    # --- Bytes ---------------------------------------------------------------------------------------------------

    def _read_block(self, block: bytes, out: list[Event]) -> None:
        for event in split_events(block):
            data = event_data(event)
            if data:
                self._read_event(event, data, out)
                if self._ended:
                    return

    def _read_rest(self, rest: bytes, out: list[Event]) -> None:
        """A last event without its blank line counts if it is whole."""
        data = parse_event(rest).data
        if data and (data.strip() == b"[DONE]" or _is_json(data)):
            self._read_event(rest, data, out)

    def _read_event(self, event: bytes, data: bytes, out: list[Event]) -> None:
        if data[0] != 0x7B and data.strip() == b"[DONE]":
            self._end(out, lenient=self._lenient)
            return
        try:
            piece = read_piece(data, self._reasoning_field)
        except ValueError:
            self._fail(invalid_answer(BROKEN_EVENT), out)
            return
        if piece is None:
            return
        if event[:6] == b"event:" and parse_event(event).event == "error":
            self._fail(read_upstream_error(200, {}, data, 0), out)
            return
        self._read_piece(piece, data, out)

    # --- Pieces --------------------------------------------------------------------------------------------------

    def _read_piece(self, piece: AnswerPiece, data: bytes, out: list[Event], *, whole: bool = False) -> None:
        choices = piece.choices
        if (piece.error is not msgspec.UNSET or not choices) and piece.failed:
            self._fail(read_upstream_error(200, {}, data, 0), out)
            return
        if not self._started:
            self._started = True
            self._id = piece.id or ""
            out.append(MessageStart(self._id))
        for position, choice in enumerate(choices or ()):
            index = position if whole and choice.index in self._choices else choice.index
            self._read_choice(choice, self._choice(index), out, whole=whole)
            if self._ended:
                return
        if piece.usage is not msgspec.UNSET or piece.x_groq is not None:
            report = piece.reported
            units = read_usage(report) if report else None
            if units is not None:
                out.append(UsageReport(units))

    def _read_choice(self, said: ChoicePiece, choice: ChoiceReader, out: list[Event], *, whole: bool) -> None:
        if said.delta is not None and choice.take(said.delta, out, whole=whole):
            choice.by_delta = True
        if said.message is not None and not choice.by_delta:
            choice.take(said.message, out, whole=whole)
        if said.finish_reason:
            choice.finish = said.finish_reason
            if said.finish_reason in FAILED_FINISHES:
                self._fail(read_upstream_error(500, {}, b"", 0), out)

    def _choice(self, index: int) -> ChoiceReader:
        if index == 0 and self._first is not None:
            return self._first
        if not 0 <= index <= CHOICE_INDEX_MAX:
            index = CHOICE_INDEX_MAX
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = ChoiceReader(index, self._reading)
            if index == 0:
                self._first = choice
        return choice

    def _read_whole(self, body: bytes, out: list[Event]) -> None:
        try:
            piece = read_piece(body, self._reasoning_field)
        except ValueError:
            piece = None
        if piece is None:
            self._fail(_whole_error(body), out)
            return
        if not piece.choices and not piece.failed:
            self._fail(invalid_answer(_NO_ANSWER), out)
            return
        self._read_piece(piece, body, out, whole=True)
        if not self._ended:
            # A body that parses is not cut, so that a missing finish reason is only a vendor's omission.
            self._end(out, lenient=True)

    # --- Ends ----------------------------------------------------------------------------------------------------

    def _end(self, out: list[Event], *, lenient: bool) -> None:
        """The body has ended. Without a finish reason that is a cut, unless the channel knows better."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        finished = any(choice.finish for choice in choices)
        if not lenient and not (finished and all(choice.finish for choice in choices if choice.output)):
            self._fail(CUT, out)
            return
        if not self._started:
            out.append(MessageStart())
        for choice in choices:
            if choice.finish or lenient:
                choice.close(out)
        self._ended = True
        out.append(MessageEnd())

    def _fail(self, error: UpstreamError, out: list[Event]) -> None:
        if not self._ended:
            self._ended = True
            out.append(StreamError(error))

    def _mint(self, choice: int, call: int) -> str:
        """Return an id for a call that the provider gave none: its own within the conversation, same for same bytes."""
        if not self._seed:
            body = self._written.body
            self._seed = hashlib.blake2b(body[-_MINT_SOURCE_BYTES_MAX:] + self._id.encode(errors="replace")).digest()
        digest = hashlib.blake2b(self._seed + f"{choice}.{call}".encode(), digest_size=12)
        return f"call_{digest.hexdigest()}"


def read_answer(body: bytes, written: Written, options: VendorOptions) -> list[Event]:
    """Return the events of a whole answer with status 200. Never raises, whatever the bytes.

    Args:
        body: all of it.
        written: the request that is answered.
        options: of the channel.
    """
    reader = ChatEventReader(written, options)
    return reader.receive(body) + reader.finish()


def _is_json(data: bytes) -> bool:
    try:
        read_piece(data, "")
    except ValueError:
        return False
    return True


def _whole_error(body: bytes) -> UpstreamError:
    """Return what a body says that is no JSON object: some wrap an error into a list."""
    if body[:1] == b"[":
        try:
            items = msgspec.json.decode(body, type=list[msgspec.Raw])
            first = read_piece(bytes(items[0]), "") if items else None
        except (msgspec.DecodeError, ValueError, RecursionError):
            first = None
        if first is not None and first.failed:
            return read_upstream_error(200, {}, body, 0)
    return invalid_answer(_NO_ANSWER)
