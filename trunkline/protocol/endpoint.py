"""The endpoints beside conversations: embeddings, images, sound, moderation, reranking. Their common form.

Each has one shape of its own that nearly all providers share, so there is nothing to meet in the middle: an endpoint
reads what routing needs, writes the call for the provider at hand (most often the client's own bytes), and reads from
the answer what it cost. `protocol.registry` knows them by name; the name stands in the envelope where a dialect would.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from trunkline.protocol.dialect import Call, ClientRequest, StreamRelay, WholeAnswer
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.vendor import VendorOptions

ReadWhole = Callable[[bytes], tuple[WholeAnswer, bytes]]
"""Takes a whole answer with status 200; returns what it used (or why it is none), and the body for the client."""


class Provider(msgspec.Struct, frozen=True):
    """Who is called.

    Attributes:
        dialect: the channel's, one of `names.UPSTREAMS`.
        model: the provider's name for it.
        public_model: what the client calls it.
        options, rules: of the channel.
    """

    dialect: str
    model: str
    public_model: str
    options: VendorOptions
    rules: RequestRules


class EndpointCall(msgspec.Struct, frozen=True):
    """A request ready to be sent, and what reads its answer; exactly one of ``whole`` and ``stream`` is set.

    Attributes:
        body: for the provider.
        content_type: of the body.
        call: where to.
        whole: reads an answer that is kept till its end.
        stream: passes on an answer as it comes.
        answer_type: content type for the client; empty: as the provider says.
        fidelity: what was lost, for the response header.
        variant: tells, once the answer was read, what kind of images it has (`core.usage.image_variant`).
    """

    body: bytes
    content_type: str
    call: Call
    whole: ReadWhole | None = None
    stream: StreamRelay | None = None
    answer_type: str = ""
    fidelity: str = ""
    variant: Callable[[], str] | None = None


class Endpoint(Protocol):
    """One endpoint. Stateless; pure."""

    name: str
    """Stands in envelopes, and as the route's label in metrics."""

    def read_head(self, body: bytes, content_type: str) -> ClientRequest:
        """Return what routing needs, after checking the body's form.

        A `ClientRequest.raw` stream is passed on as bytes and cut where it breaks.

        Raises:
            FaultError: ``client_bad_json`` or ``client_bad_request``, with the field at fault as ``param``.
        """

    def count_input(self, body: bytes) -> int:
        """Return an estimate of a request's input tokens, for an answer without usage. Never raises, bounded."""

    def open(self, body: bytes, content_type: str, provider: Provider) -> EndpointCall:
        """Return the call of a provider.

        Raises:
            FaultError: ``client_bad_request``: this provider does not offer it, or not so; another may.
        """
