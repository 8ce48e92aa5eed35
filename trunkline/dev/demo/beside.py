"""What the demo upstream's endpoints beside conversations have in common: addresses, errors, whole answers. Pure.

Each endpoint is a `Dialect` of its own, in a module ``dev.demo_beside_*``; `dev.demo.routes` knows their addresses. As
OpenAI does, they refuse fields that they do not know, but for the script in a JSON body or a form.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import msgspec

from trunkline.dev.demo import openai
from trunkline.dev.demo.completion import Plan, Product
from trunkline.dev.demo.counts import Usage
from trunkline.dev.demo.request import Asked, RequestError, SpeechMaker
from trunkline.dev.demo.script import Script
from trunkline.runtime.http_exchange import Request


class JSONBody(msgspec.Struct, forbid_unknown_fields=True):
    """What all of these requests may have in their body."""

    model: str | None = None
    user: str | None = None
    trunkline_demo: Script | None = None


class Endpoint(ABC):
    """One endpoint in OpenAI's form; subclasses read its requests.

    Args:
        deployment: that an address of Azure names; it stands for the model.
        azure: whether it is asked in Azure's form.
    """

    counting = False

    def __init__(self, deployment: str = "", *, azure: bool = False) -> None:
        self._deployment = deployment
        self._azure = azure

    def credential(self, request: Request) -> str:
        """See `Dialect`."""
        if self._azure:
            return openai.azure_key_of(request, versioned=bool(self._deployment))
        return openai.key_of(request)

    def error(self, error: RequestError, number: int) -> tuple[bytes, bytes]:
        """See `Dialect`."""
        return openai.error_answer(error, number)

    @abstractmethod
    def read(self, request: Request) -> Asked:
        """See `Dialect`."""

    def model(self, named: str | None) -> str:
        """Return the model that is asked, a script in it.

        Raises:
            RequestError: neither the address nor the body names one.
        """
        model = self._deployment or named
        if not model:
            raise RequestError("you must provide a model parameter")
        return model


class WholeSpeech:
    """See `Speech`. An answer in one piece.

    Args:
        plan: of it.
        write: makes its body.
    """

    stream_headers: ClassVar[bytes] = openai.JSON
    id_header: ClassVar[bytes] = b"x-request-id"
    broken: ClassVar[bytes] = b""
    told: ClassVar[int] = 0

    def __init__(self, plan: Plan, write: Callable[[Plan], bytes]) -> None:
        self._plan = plan
        self._write = write

    def whole(self) -> bytes:
        """See `Speech`."""
        return self._write(self._plan)

    def opening(self) -> bytes:
        """Return nothing: it is not streamed."""
        return b""

    def event(self, number: int) -> bytes:
        """Return nothing."""
        return b""

    def closing(self) -> bytes:
        """Return nothing."""
        return b""

    def failing(self) -> bytes:
        """Return nothing."""
        return b""


def whole_speech(write: Callable[[Plan], object]) -> SpeechMaker:
    """Return what makes the `Speech` of an answer; ``write`` returns what its JSON says."""
    return functools.partial(WholeSpeech, write=lambda plan: msgspec.json.encode(write(plan)))


def whole_text(write: Callable[[Plan], str]) -> SpeechMaker:
    """Return what makes the `Speech` of an answer that is plain text."""
    return functools.partial(WholeSpeech, write=lambda plan: write(plan).encode())


def product(
    model: str,
    speech: SpeechMaker,
    made: Product,
    *,
    stream: bool = False,
    script: Script | None = None,
) -> Asked:
    """Return what a request for a product asks for."""
    return Asked(
        model, speech, made.used.prompt, stream=stream, include_usage=made.reported, script=script, product=made
    )


def bare(model: str) -> str:
    """Return a model's name without a script."""
    return model.partition("?")[0]


def one_of(value: str | None, allowed: frozenset[str], param: str) -> None:
    """Check a field that has few values.

    Raises:
        RequestError: it has another.
    """
    if value is not None and value not in allowed:
        listed = ", ".join(f"'{name}'" for name in sorted(allowed))
        raise RequestError(
            f"Invalid value: '{value}'. Supported values are: {listed}.", param=param, code="invalid_value"
        )


def within(value: float | None, lowest: float, highest: float, param: str) -> None:
    """Check a number.

    Raises:
        RequestError: it is out of bounds.
    """
    if value is not None and not lowest <= value <= highest:
        raise RequestError(
            f"Invalid value for '{param}': expected a value between {lowest:g} and {highest:g}, but got {value:g}.",
            param=param,
            code="invalid_value",
        )


def missing(param: str) -> RequestError:
    """Return the error for a field that has to be there."""
    return RequestError(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def token_usage(used: Usage) -> dict[str, int]:
    """Return a report in the words of the newer endpoints."""
    return {
        "input_tokens": used.prompt,
        "output_tokens": used.completion,
        "total_tokens": used.prompt + used.completion,
    }


def typed_event(kind: str, **members: object) -> bytes:
    """Return a stream's event whose data has its type."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **members}))


def failing_event() -> bytes:
    """Return the event that ends a stream of typed events which fails."""
    error = {"message": "The script asked for an error.", "type": "server_error", "code": None, "param": None}
    return typed_event("error", error=error)
