"""The admin API, as the commands call it."""

import contextlib
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from trunkline.cli import http
from trunkline.cli.failure import CLIError
from trunkline.cli.settings import ConsoleAccess
from trunkline.core.errors import ErrorType
from trunkline.policy.admin_api import PREFIX, ErrorBody
from trunkline.policy.admin_credit import LedgerStep
from trunkline.runtime import config

T = TypeVar("T")

_encode = msgspec.json.Encoder(decimal_format="string").encode


class AdminClient:
    """Calls one console.

    Args:
        url: of the console.
        key: the admin key.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._key = key

    def send(self, method: str, *path: str, body: object = None, query: dict[str, str] | None = None) -> bytes:
        """Send a request and return the body of its answer.

        Args:
            method: HTTP method.
            path: segments after the prefix; each may hold any character.
            body: sent as JSON; None for none.
            query: of the URL.

        Raises:
            CLIError: with the console's own words.
        """
        content = None if body is None else _encode(body)
        try:
            answer = http.call(method, self._address(path, query), body=content, headers=self._headers())
        except CLIError as error:
            raise _unreachable(error) from error
        if 200 <= answer.status < 300:
            return answer.body
        raise _refusal(answer)

    @contextlib.contextmanager
    def opened(self, method: str, *path: str, query: dict[str, str] | None = None) -> Iterator[HTTPResponse]:
        """Send a request and lend its answer while it is read: for what is long. Arguments as for `send`.

        Raises:
            CLIError: with the console's own words; or the answer was cut off.
        """
        with contextlib.ExitStack() as stack:
            opening = http.opened(method, self._address(path, query), headers=self._headers())
            try:
                response = stack.enter_context(opening)
            except CLIError as error:
                raise _unreachable(error) from error
            if not 200 <= response.status < 300:
                raise _refusal(http.Answer(response.status, response.read(http.BODY_BYTES_MAX)))
            yield response

    def steps(self, *path: str) -> Iterator[LedgerStep]:
        """Send a POST that is answered with a line per step, and return those that say something.

        Raises:
            CLIError: as for `opened`; or the work could not be done to its end.
        """
        with self.opened("POST", *path) as response:
            for line in response:
                if not line.strip():
                    continue  # a sign that the work goes on
                step = decoded(line, LedgerStep)
                if step.error:
                    raise CLIError(step.error)
                if step.done:
                    return
                yield step
        raise CLIError("the console's answer was cut off")

    def _address(self, path: tuple[str, ...], query: dict[str, str] | None) -> str:
        segments = "".join(f"/{quote(segment, safe='')}" for segment in path)
        return f"{self._url}{PREFIX}{segments}" + (f"?{urlencode(query)}" if query else "")

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._key}", "content-type": "application/json"}

    def get(self, wanted: type[T], *path: str, query: dict[str, str] | None = None) -> T:
        """Send a GET and return its answer as ``wanted``.

        Raises:
            CLIError: as for `send`.
        """
        return decoded(self.send("GET", *path, query=query), wanted)

    def post(self, wanted: type[T], *path: str, body: object = None, query: dict[str, str] | None = None) -> T:
        """Send a POST and return its answer as ``wanted``.

        Raises:
            CLIError: as for `send`.
        """
        return decoded(self.send("POST", *path, body=body, query=query), wanted)

    def put(self, wanted: type[T], *path: str, body: object = None) -> T:
        """Send a PUT and return its answer as ``wanted``.

        Raises:
            CLIError: as for `send`.
        """
        return decoded(self.send("PUT", *path, body=body), wanted)

    def patch(self, wanted: type[T], *path: str, body: object) -> T:
        """Send a PATCH and return its answer as ``wanted``.

        Raises:
            CLIError: as for `send`.
        """
        return decoded(self.send("PATCH", *path, body=body), wanted)


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


def connect() -> AdminClient:
    """Return a client made from the settings.

    Raises:
        SettingsError: one is missing.
    """
    access = config.load(ConsoleAccess)
    return AdminClient(access.console_url, access.admin_key)
