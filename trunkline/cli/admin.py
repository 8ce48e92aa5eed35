"""The admin API, as the commands call it."""

from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from trunkline.cli import http
from trunkline.cli.failure import CLIError
from trunkline.cli.settings import ConsoleAccess
from trunkline.core.errors import ErrorType
from trunkline.policy.admin_api import PREFIX, ErrorBody
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
        segments = "".join(f"/{quote(segment, safe='')}" for segment in path)
        url = f"{self._url}{PREFIX}{segments}" + (f"?{urlencode(query)}" if query else "")
        content = None if body is None else _encode(body)
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        try:
            answer = http.call(method, url, body=content, headers=headers)
        except CLIError as error:
            raise CLIError(f"the console cannot be reached: {error}. Is TRUNKLINE_CONSOLE_URL right?") from error
        if 200 <= answer.status < 300:
            return answer.body
        raise _refusal(answer)

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


def decoded(body: bytes, wanted: type[T]) -> T:
    """Return an answer's body as a struct.

    Raises:
        CLIError: it is something else.
    """
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.MsgspecError as error:
        raise CLIError("the console's answer is not understood; is it of another version, or no console?") from error


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
