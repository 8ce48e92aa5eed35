"""How the client of the admin API calls a console: addresses, bodies, answers and refusals."""

import contextlib
from collections.abc import Iterator, Mapping
from http.client import HTTPResponse
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from trunkline.cli import http
from trunkline.cli.failure import CLIError
from trunkline.core.errors import ErrorType
from trunkline.policy.admin_api import PREFIX, ErrorBody

T = TypeVar("T")

Value = str | int | float | list[str]
"""What a query may hold; a list is there several times."""

Query = Mapping[str, Value | None]

_encode = msgspec.json.Encoder(decimal_format="string").encode


class AdminClient:
    """Calls one console; `cli.client` has a method for each thing that it can do.

    Args:
        url: of the console.
        key: the admin key.
        ca_path: file of the authorities that its certificate must come from; empty: those that the system trusts.
    """

    def __init__(self, url: str, key: str, ca_path: str = "") -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._ca_path = ca_path

    def send(self, method: str, *path: str | int, body: object = None, query: Query | None = None) -> bytes:
        """Send a request and return the body of its answer.

        Args:
            method: HTTP method.
            path: segments after the prefix; each may hold any character.
            body: sent as JSON; None for none.
            query: of the URL, without what is None.

        Raises:
            CLIError: with the console's own words.
        """
        try:
            answer = http.call(method, self._address(path, query), **self._options(body))
        except CLIError as error:
            raise _unreachable(error) from error
        if 200 <= answer.status < 300:
            return answer.body
        raise _refusal(answer)

    def read(
        self, wanted: type[T], method: str, *path: str | int, body: object = None, query: Query | None = None
    ) -> T:
        """Send a request and return its answer as ``wanted``.

        Raises:
            CLIError: as for `send`; or the answer is something else.
        """
        return decoded(self.send(method, *path, body=body, query=query), wanted)

    @contextlib.contextmanager
    def opened(
        self, method: str, *path: str | int, body: object = None, query: Query | None = None
    ) -> Iterator[HTTPResponse]:
        """Send a request and lend its answer while it is read: for what is long. Arguments as for `send`.

        Raises:
            CLIError: with the console's own words; or the answer was cut off.
        """
        with contextlib.ExitStack() as stack:
            opening = http.opened(method, self._address(path, query), **self._options(body))
            try:
                response = stack.enter_context(opening)
            except CLIError as error:
                raise _unreachable(error) from error
            if not 200 <= response.status < 300:
                raise _refusal(http.Answer(response.status, response.read(http.BODY_BYTES_MAX)))
            yield response

    def lines(
        self, wanted: type[T], method: str, *path: str | int, body: object = None, query: Query | None = None
    ) -> Iterator[T]:
        """Send a request that is answered with a line for each step of a long work, and return them as ``wanted``.

        Raises:
            CLIError: as for `opened`.
        """
        with self.opened(method, *path, body=body, query=query) as response:
            for line in response:
                if line.strip():  # an empty one is a sign that the work goes on
                    yield decoded(line, wanted)

    def _address(self, path: tuple[str | int, ...], query: Query | None) -> str:
        segments = "".join(f"/{quote(str(segment), safe='')}" for segment in path)
        given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        return f"{self._url}{PREFIX}{segments}" + (f"?{urlencode(given, doseq=True)}" if given else "")

    def _options(self, body: object) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        return {"body": _content(body), "headers": headers, "ca_path": self._ca_path}


def _content(body: object) -> bytes | None:
    return None if body is None else _encode(body)


def _text(value: Value) -> str | list[str]:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return [str(item) for item in value]
        case _:
            return str(value)


def decoded(body: bytes, wanted: type[T]) -> T:
    """Return an answer's body as a struct.

    Raises:
        CLIError: it is something else.
    """
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.MsgspecError as error:
        raise CLIError("the console's answer is not understood; is it of another version, or no console?") from error


def _unreachable(error: CLIError) -> CLIError:
    return CLIError(f"the console cannot be reached: {error}. Is TRUNKLINE_CONSOLE_URL right?")


def _refusal(answer: http.Answer) -> CLIError:
    try:
        detail = msgspec.json.decode(answer.body, type=ErrorBody).error
        ErrorType(detail.type)  # an edge's errors have the same shape, but OpenAI's words
    except ValueError:
        return CLIError(f"the console answered {answer.status}; is TRUNKLINE_CONSOLE_URL that of a console?")
    return CLIError(detail.message, faults=detail.faults)
