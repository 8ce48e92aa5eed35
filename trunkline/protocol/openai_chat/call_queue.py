"""Puts the calls of one choice one after another, and what comes between them behind.

Chat lets a provider interleave the pieces of parallel calls; neutral events do not (`protocol.events`). The call at the
front is passed on as it comes, all else waits until that call is whole. Whole is a call whose arguments are a JSON
object: nothing can follow one. So a provider that sends its calls in order is not held up, and for one that mixes
them, the end of the answer settles what is left.
"""

from collections import deque
from collections.abc import Callable, Collection

import msgspec

from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.events import Event, ToolCallDelta, ToolCallEnd, ToolCallStart
from trunkline.protocol.model import Proof

CHECKS_MAX = 32
"""How often a call is looked at whether it is whole. Each look reads all of it; past this it waits for the end."""

HELD_CHARS_MAX = limits.UPSTREAM_EVENT_BYTES_MAX
"""Of what waits behind a call; as much as a provider may send at once anyway."""

HELD_EVENTS_MAX = 65_536
"""Pieces that wait behind a call."""

_NO_ARGUMENTS = "{}"

_validate = msgspec.json.Decoder(msgspec.Raw).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


class Call:
    """A call that is being read.

    Attributes:
        id, name: empty until they are known.
        custom: a free-form tool.
        number: within the choice; -1 until its start was passed on.
        ended: its end was passed on.
        sent: how many of its parts were passed on.
    """

    __slots__ = ("_checks", "custom", "ended", "id", "name", "number", "parts", "proof", "sent")

    def __init__(self, *, custom: bool) -> None:
        self.id = ""
        self.name = ""
        self.custom = custom
        self.proof: Proof | None = None
        self.parts: list[str] = []
        self.number = -1
        self.sent = 0
        self.ended = False
        self._checks = 0

    def add(self, arguments: str) -> None:
        """Take a piece of its arguments; ``{}`` at the beginning may be a placeholder for what follows."""
        if arguments and (self.parts or self.custom or arguments.strip() != _NO_ARGUMENTS):
            self.parts.append(arguments)

    def whole(self) -> bool:
        """Return whether nothing can follow any more."""
        if self.custom or not self.parts or not self.parts[-1].rstrip().endswith("}") or self._checks >= CHECKS_MAX:
            return False
        self._checks += 1
        try:
            return bytes(_validate("".join(self.parts))).lstrip()[:1] == b"{"
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return False


class CallQueue:
    """Takes calls and other events of one choice; passes them on in an order that a neutral stream allows.

    Args:
        choice: its index.
        mint: makes an id for the call with this number, where the provider has none.
        unwrapped: names of tools whose one string field is a custom tool's text.
        names: as written to as the client knows them.
    """

    __slots__ = ("_choice", "_count", "_front", "_held", "_mint", "_names", "_unwrapped", "_waiting")

    def __init__(
        self, choice: int, mint: Callable[[int], str], unwrapped: Collection[str], names: dict[str, str]
    ) -> None:
        self._choice = choice
        self._mint = mint
        self._unwrapped = unwrapped
        self._names = names
        self._front: Call | None = None
        self._waiting: deque[Call | Event] = deque()
        self._held = 0
        self._count = 0

    def put(self, event: Event, size: int, out: list[Event]) -> None:
        """Take an event that belongs to no call, of so many characters."""
        if self._front is not None:
            self._settle(out)
            if self._front is not None:
                self._hold(event, size)
                return
        out.append(event)

    def open(self, call: Call, out: list[Event]) -> None:
        """Take a call whose name is known."""
        if self._front is not None:
            self._settle(out)
        if self._front is not None:
            self._hold(call, sum(map(len, call.parts)))
            return
        self._front = call
        self._send(call, out)

    def extend(self, call: Call, arguments: str, out: list[Event]) -> None:
        """Take a piece of the arguments of a call that was opened. What comes after its end is dropped."""
        if call.ended:
            return
        call.add(arguments)
        if call is self._front:
            self._send(call, out)
            if self._waiting:
                self._settle(out)
        else:
            self._hold(None, len(arguments))

    def finish(self, out: list[Event]) -> None:
        """The answer has ended: pass on all that waits."""
        while self._front is not None:
            self._end_front(out)

    def _hold(self, waiting: Call | Event | None, size: int) -> None:
        self._held += size
        if self._held > HELD_CHARS_MAX or len(self._waiting) > HELD_EVENTS_MAX:
            raise FaultError(Fault(ErrorType.UPSTREAM_INVALID, "The provider mixes its tool calls endlessly."))
        if waiting is not None:
            self._waiting.append(waiting)

    def _settle(self, out: list[Event]) -> None:
        while self._front is not None and self._front.whole():
            self._end_front(out)

    def _send(self, call: Call, out: list[Event]) -> None:
        """Pass on what is known of the call at the front; it waits for its id."""
        if call.number < 0:
            if not call.id:
                return
            self._start(call, out)
        if call.sent < len(call.parts) and call.name not in self._unwrapped:
            out += [ToolCallDelta(call.number, part, self._choice) for part in call.parts[call.sent :]]
            call.sent = len(call.parts)

    def _start(self, call: Call, out: list[Event]) -> None:
        call.number = self._count
        self._count += 1
        name = self._names.get(call.name, call.name)
        custom = call.custom or call.name in self._unwrapped
        call.id = call.id or self._mint(call.number)
        out.append(ToolCallStart(call.number, call.id, name, custom, call.proof, self._choice))

    def _end_front(self, out: list[Event]) -> None:
        """End the call at the front, pass on what stands behind it, and make the next call the front."""
        call, self._front = self._front, None
        if call is None:
            return
        if call.number < 0:
            self._start(call, out)
        self._send(call, out)
        if call.name in self._unwrapped:
            if text := unwrapped_text("".join(call.parts)):
                out.append(ToolCallDelta(call.number, text, self._choice))
        elif not call.custom and not any(map(str.strip, call.parts)):
            out.append(ToolCallDelta(call.number, _NO_ARGUMENTS, self._choice))
        out.append(ToolCallEnd(call.number, self._choice))
        call.ended = True
        call.parts = []
        while self._waiting:
            waiting = self._waiting.popleft()
            if isinstance(waiting, Call):
                self._front = waiting
                self._send(waiting, out)
                return
            out.append(waiting)


def unwrapped_text(arguments: str) -> str:
    """Return the one text in a call's arguments; the arguments themselves where they are no object with one text."""
    try:
        fields = _decode_fields(arguments)
        if len(fields) == 1:
            return _decode_text(next(iter(fields.values())))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    return arguments
