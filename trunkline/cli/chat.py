"""`trunkline chat`: an answer streamed into the terminal, through the gateway like any client's."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from trunkline.cli import http, render
from trunkline.cli.failure import CLIError
from trunkline.cli.settings import EdgeAccess
from trunkline.core.errors import FaultError
from trunkline.protocol.sse import EventSplitter, event_data
from trunkline.runtime import config

READ_BYTES = 64 * 1024
IDLE_TIMEOUT_S = 150.0
"""Longer than the gateway waits for a first token, so that its error comes first."""


class _Message(msgspec.Struct):
    role: str
    content: str


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)


class _Error(msgspec.Struct):
    message: str = "the gateway gave no reason"


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    error: _Error | None = None


def endpoint(base_url: str, path: str) -> str:
    """Return the address of a path of the gateway, whether the base URL ends with its version or not."""
    base = base_url.rstrip("/")
    return f"{base}{path}" if base.endswith("/v1") else f"{base}/v1{path}"


def pieces(chunks: Iterator[bytes]) -> Iterator[str]:
    """Return the texts of a stream of chat events as they come.

    Raises:
        CLIError: the stream holds an error, or ends without its last event.
    """
    splitter = EventSplitter()
    for chunk in chunks:
        for event in splitter.receive(chunk):
            data = event_data(event)
            if data is None:
                continue
            if data == b"[DONE]":
                return
            parsed = msgspec.json.decode(data, type=_Chunk)
            if parsed.error is not None:
                raise CLIError(parsed.error.message)
            yield from (choice.delta.content for choice in parsed.choices if choice.delta.content)
    raise CLIError("the answer was cut off")


def _ask(access: EdgeAccess, model: str, messages: list[_Message]) -> str:
    body = msgspec.json.encode({"model": model, "messages": messages, "stream": True})
    headers = {"authorization": f"Bearer {access.api_key}", "content-type": "application/json"}
    url = endpoint(access.base_url, "/chat/completions")
    answer = []
    with http.opened("POST", url, body=body, headers=headers, timeout_s=IDLE_TIMEOUT_S) as response:
        if response.status != 200:
            raise CLIError(_refusal(response.status, response.read(http.BODY_BYTES_MAX)))
        try:
            for piece in pieces(iter(lambda: response.read1(READ_BYTES), b"")):
                answer.append(piece)
                typer.echo(render.printable(piece), nl=False)
        except (msgspec.MsgspecError, FaultError) as error:
            raise CLIError("the answer is not a stream of chat events; is TRUNKLINE_BASE_URL right?") from error
        finally:
            typer.echo()
    return "".join(answer)


def _refusal(status: int, body: bytes) -> str:
    try:
        error = msgspec.json.decode(body, type=_Chunk).error
    except msgspec.MsgspecError:
        error = None
    return f"the gateway answered {status}" if error is None else f"{error.message} ({status})"


def chat(
    model: Annotated[str, typer.Argument(help="A public model name.")],
    prompt: Annotated[str | None, typer.Argument(help="What to say; left out, a conversation begins.")] = None,
) -> None:
    """Talk to a model through the gateway."""
    access = config.load(EdgeAccess)
    if prompt is not None:
        _ask(access, model, [_Message("user", prompt)])
        return
    messages: list[_Message] = []
    typer.echo("An empty line or Ctrl-D ends the conversation.", err=True)
    while True:
        try:
            said = input("> ")
        except EOFError:
            break
        if not said.strip():
            break
        messages.append(_Message("user", said))
        try:
            messages.append(_Message("assistant", _ask(access, model, messages)))
        except CLIError as error:
            # The conversation goes on without what could not be answered.
            messages.pop()
            typer.echo(f"trunkline: {error}", err=True)
