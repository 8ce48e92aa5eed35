"""The columns of `support.fault_table`: what a client sees of a fault, and what it counts against."""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from tests.support.fault_answers import BEGUN, Act, Steps, refusal, stream
from trunkline.core.errors import ErrorType
from trunkline.policy.retry import ROUNDS_MAX


class Against(StrEnum):
    """What a fault counts against."""

    NOTHING = "nothing"
    CHANNEL = "channel"
    COOLS = "credential, cools"
    ASIDE = "credential, set aside"
    MODEL = "model on this channel"


class Seen(NamedTuple):
    """What the client of a model with one channel gets.

    Attributes:
        error: in the books; None for an answer.
        status, code: of the response; 200 with an error is one inside a stream that had begun.
        attempts: at the channel.
        waits: the response says when to come again.
    """

    error: ErrorType | None
    status: int = 200
    code: str | None = None
    attempts: int = 1
    waits: bool = False

    @property
    def begun(self) -> bool:
        """Whether the client had got part of an answer."""
        return self.error is not None and self.status == 200

    @property
    def retried(self) -> bool:
        """Whether another channel is asked."""
        return not (self.error is None or self.begun or self.error is ErrorType.UPSTREAM_BAD_REQUEST)


_REPEATED = 1 + ROUNDS_MAX

FINE = Seen(None)
UNREACHABLE = Seen(ErrorType.UPSTREAM_UNREACHABLE, 502, "upstream_unavailable", _REPEATED)
CUT = Seen(ErrorType.UPSTREAM_CUT, 502, "upstream_invalid_response", _REPEATED)
INVALID = Seen(ErrorType.UPSTREAM_INVALID, 502, "upstream_invalid_response", _REPEATED)
FAILED = Seen(ErrorType.UPSTREAM_ERROR, 502, "upstream_unavailable", _REPEATED)
OVERLOADED = Seen(ErrorType.UPSTREAM_OVERLOADED, 503, "overloaded", _REPEATED, waits=True)
LATE = Seen(ErrorType.UPSTREAM_TIMEOUT, 504, "upstream_timeout")
LIMITED = Seen(ErrorType.UPSTREAM_RATE_LIMITED, 429, "rate_limit_exceeded", waits=True)
REFUSED = Seen(ErrorType.UPSTREAM_CREDENTIAL, 502, "upstream_unavailable")
DENIED = Seen(ErrorType.UPSTREAM_ERROR, 502, "model_not_available")


def bad_request(code: str = "invalid_value") -> Seen:
    """Return what is seen of a request that the provider calls wrong."""
    return Seen(ErrorType.UPSTREAM_BAD_REQUEST, 400, code)


def inside(seen: Seen) -> Seen:
    """Return what is seen of a fault once output has come."""
    return seen._replace(status=200, attempts=1, waits=False)


class Fault(NamedTuple):
    """One row.

    Attributes:
        does: what the provider does, in words.
        seen: of a plain answer, and of a stream unless ``streamed`` says otherwise.
        against: what it counts against.
        plain, stream: how it is done; None where it cannot be.
        streamed: see there.
        late: it takes longer than the tests' timeouts.
    """

    does: str
    seen: Seen
    against: Against
    plain: Steps | None = None
    stream: Steps | None = None
    streamed: Seen | None = None
    late: bool = False

    def of(self, *, streamed: bool) -> Seen:
        """Return what is seen of one form of answer."""
        return self.streamed if streamed and self.streamed is not None else self.seen

    def forms(self) -> Iterator[bool]:
        """Yield the forms in which it can be: False for a plain answer, True for a stream."""
        for streamed, steps in ((False, self.plain), (True, self.stream)):
            if steps is not None:
                yield streamed


def alike(does: str, seen: Seen, against: Against, steps: Steps, *, late: bool = False) -> Fault:
    """Return a row of a fault that is the same in both forms."""
    return Fault(does, seen, against, plain=steps, stream=steps, late=late)


def says(does: str, seen: Seen, against: Against, status: int, said: object, *lines: bytes) -> Fault:
    """Return a row of a fault that is an error response."""
    return alike(does, seen, against, refusal(status, said, *lines))


def midway(does: str, seen: Seen, *steps: bytes | float | Act, late: bool = False) -> Fault:
    """Return a row of a fault in a stream that had begun."""
    return Fault(does, inside(seen), Against.CHANNEL, stream=stream(BEGUN, *steps), late=late)
