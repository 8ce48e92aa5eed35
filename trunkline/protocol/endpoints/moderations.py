"""``POST /v1/moderations``: passed on. Free at OpenAI, so what is reported is the request, which may have a price."""

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.body import BodyReader, filled_list
from trunkline.protocol.dialect import Call, ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import EndpointCall, Provider
from trunkline.protocol.endpoints.answer_form import AnswerForm, FormReader, renamed
from trunkline.protocol.endpoints.input_count import count_members
from trunkline.protocol.endpoints.json_value import start_of
from trunkline.protocol.endpoints.provider_call import JSON, not_offered
from trunkline.protocol.names import UPSTREAM_OPENAI
from trunkline.protocol.routing_wish import WishFields, read_wish
from trunkline.protocol.splice import prepare_body

DEFAULT_MODEL = "omni-moderation-latest"
"""OpenAI's own default: the one endpoint where clients may leave the model out."""


class _Fields(WishFields):
    model: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class _Answer(AnswerForm, gc=False):
    results: list[msgspec.Raw] | None = None


_READER = BodyReader(
    _Fields,
    {
        "model": f"`model` must be a string naming a model, or left out for {DEFAULT_MODEL}.",
        "input": "`input` must be a text, a list of texts, or a list of parts; not empty.",
    },
    example="a JSON object with `input`",
    large=("input",),
)
_ANSWER = FormReader(_Answer, "The provider's answer holds no moderation results.")


class Moderations:
    """See `protocol.endpoint`."""

    name = "moderations"

    def read_head(self, body: bytes, content_type: str) -> ClientRequest:
        """See `Endpoint`."""
        fields = _READER.read(body)
        if not (start_of(fields.input) == b'"' or filled_list(fields.input)):
            raise _READER.bad_field("input")
        model = DEFAULT_MODEL if fields.model is None else _READER.model(fields.model)
        return ClientRequest(model, stream=False, wish=read_wish(fields))

    def count_input(self, body: bytes) -> int:
        """Return an estimate of the input tokens. Never raises, takes bounded time."""
        return count_members(body, ("input",))

    def open(self, body: bytes, content_type: str, provider: Provider) -> EndpointCall:
        """See `Endpoint`."""
        if provider.dialect != UPSTREAM_OPENAI:
            raise not_offered("moderation")
        prepared = prepare_body(body, upstream_model=provider.model).ruled(provider.rules)
        return EndpointCall(
            prepared, JSON, Call("/moderations"), whole=lambda answer: _read(answer, provider), answer_type=JSON
        )


def _read(body: bytes, provider: Provider) -> tuple[WholeAnswer, bytes]:
    answer = _ANSWER.read(body)
    if not isinstance(answer, _Answer):
        return WholeAnswer(None, 0, answer), b""
    if not answer.results:
        return WholeAnswer(None, 0, _ANSWER.invalid()), b""
    return WholeAnswer(Units(requests=1), 0, None), renamed(body, provider)
