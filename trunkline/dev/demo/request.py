"""What the demo upstream reads of a request, whatever its dialect, and how it says that it will not take one. Pure."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from trunkline.dev.demo.completion import Plan, Product
from trunkline.dev.demo.script import Script
from trunkline.runtime.http_exchange import Request

ANY_TOOL = "*"
"""As a choice: some tool must be called."""

CALL = "call "
"""A user text that begins so asks for a call: ``call weather``, or ``call weather {"place": "Ulm"}``."""

NO_TOOLS: Mapping[str, Any] = MappingProxyType({})


class RequestError(Exception):
    """A provider would not take this request.

    Attributes:
        message: in the provider's words.
        status: HTTP status.
        param, code: what OpenAI's errors have beside the message.
        retry_after: seconds; None: nothing is said.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.code = code
        self.retry_after = retry_after


class Speech(Protocol):
    """Writes one answer in a dialect; the events of a stream are asked for once each, in order."""

    @property
    def stream_headers(self) -> bytes:
        """Header lines of a stream."""

    @property
    def id_header(self) -> bytes:
        """Name of the header field that has the request's id."""

    @property
    def broken(self) -> bytes:
        """An event that is not JSON."""

    @property
    def told(self) -> int:
        """After how many chunks usage was reported last; 0: not yet."""

    def opening(self) -> bytes:
        """Return what comes before the first chunk."""

    def event(self, number: int) -> bytes:
        """Return the events of a chunk."""

    def closing(self) -> bytes:
        """Return what comes after the last chunk."""

    def failing(self) -> bytes:
        """Return what ends a stream that fails now."""

    def whole(self) -> bytes:
        """Return the body of an answer that is not streamed."""


class SpeechMaker(Protocol):
    """Makes the `Speech` of a plan."""

    def __call__(self, plan: Plan, /) -> Speech:
        """See there."""


class Asked(NamedTuple):
    """A request.

    Attributes:
        model: as written, a script in it.
        speech: makes the writer of its answer.
        prompt_tokens: words of all its texts.
        limit: of output tokens.
        script: of the body.
        tools: decoded schemas of the functions that may be called, by name.
        choice: name of the tool that must be called, `ANY_TOOL`, or empty.
        said: the user's text, if that is what comes last.
        schema: decoded, if the answer is to be JSON.
        token_count: the body that answers a request to count tokens; None of any other.
        product: what is wanted, if it is no conversation.
        choices: how many times over the answer is given.
        begun: how the answer begins; it is not said again.
    """

    model: str
    speech: SpeechMaker
    prompt_tokens: int
    stream: bool = False
    limit: int | None = None
    include_usage: bool = True
    script: Script | None = None
    tools: Mapping[str, Any] = NO_TOOLS
    choice: str = ""
    said: str = ""
    schema: Any = None
    token_count: bytes | None = None
    product: Product | None = None
    choices: int = 1
    begun: str = ""

    @property
    def special(self) -> bool:
        """Whether the answer may be something else than text."""
        return bool(self.tools) or self.schema is not None

    def wanted_call(self) -> tuple[str, str | None]:
        """Return the tool to call, or an empty name, and the arguments if they are given."""
        if self.choice:
            return (next(iter(self.tools), "") if self.choice == ANY_TOOL else self.choice), None
        if self.said.startswith(CALL):
            name, _, arguments = self.said.removeprefix(CALL).strip().partition(" ")
            if name in self.tools:
                return name, arguments.strip() or None
        return "", None


class Dialect(Protocol):
    """Reads requests of a dialect.

    Attributes:
        counting: these requests ask to count a prompt's tokens, not for an answer.
    """

    counting: bool

    def credential(self, request: Request) -> str:
        """Return the credential of a request.

        Raises:
            RequestError: it has none.
        """

    def read(self, request: Request) -> Asked:
        """Return what a request asks for.

        Raises:
            RequestError: the provider would refuse it.
            msgspec.DecodeError: it cannot be read.
        """

    def error(self, error: RequestError, number: int) -> tuple[bytes, bytes]:
        """Return the header lines and the body that say so; ``number`` is the request's."""


# --- Reading of JSON by hand -------------------------------------------------------------------------------------


def parsed(body: bytes) -> dict[str, Any]:
    """Return a body that is a JSON object.

    Raises:
        RequestError: it is none.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The request body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise RequestError("The request body is not a JSON object.")
    return value


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Read JSON by hand within the block: what is of an unforeseen type there is the request's fault.

    Raises:
        RequestError: something was.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RequestError(f"The request cannot be read: {error!r}") from error


def objects(value: Any, where: str) -> list[dict[str, Any]]:
    """Return a list of objects; None is an empty one.

    Raises:
        RequestError: it is no such list.
    """
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise RequestError(f"{where}: Input should be a valid list of objects")
    return value


def names(text: str) -> frozenset[str]:
    """Return the names in a text."""
    return frozenset(text.split())


def words(value: Any) -> int:
    """Return how many words a text has; 0 of what is no text."""
    return len(value.split()) if isinstance(value, str) else 0


def words_within(value: Any) -> int:
    """Return how many words the texts in a JSON value have."""
    if isinstance(value, dict):
        return sum(words_within(item) for item in value.values())
    if isinstance(value, list):
        return sum(words_within(item) for item in value)
    return words(value)


def bearer(request: Request) -> str:
    """Return the token of the Authorization header, or an empty string."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
