"""What a job may come to, for its hold: the worst case as far as the client bounds it (ADR 6)."""

import re
from collections.abc import Sequence

from services.edge.client_job import ClientJob
from trunkline.core import limits
from trunkline.core.usage import Units
from trunkline.policy.lease import JobNeed
from trunkline.policy.pricing import ModelRates
from trunkline.protocol import registry
from trunkline.protocol.endpoints.asked_units import BYTES_PER_TOKEN_MIN
from trunkline.protocol.endpoints.multipart import is_form
from trunkline.protocol.tokens import LONG_BASE64

PLAIN_BYTES_MAX = 1024
"""A body up to here has no data in it that would have to be left out of the count of its text."""

DATA_TOKENS_MAX = 1600
"""What data between the texts counts as, such as a picture: one in full detail, as Anthropic and most models of OpenAI
count it. A long document or sound is more."""

DATA_BYTES_PER_TOKEN = 16
"""The same of small data: thumbnails, and the signatures of reasoning."""

_DATA_KEY = re.compile(
    rb'"(?:data|file_data|b64_json|signature|thoughtSignature|thought_signature|encrypted_content)"\s*:\s*$'
)
"""Members in which the dialects have data; the last of what stands before it."""

_KEY_BYTES_MAX = 40
_NOTHING = Units()


def job_need(
    client: ClientJob,
    rates: ModelRates,
    discount_ppm: int,
    others: Sequence[tuple[ModelRates, Sequence[str]]] = (),
) -> JobNeed:
    """Return what a job may come to: with the dearest of the models that may answer it.

    Args:
        client: a request up to the step ``admit``.
        rates: of its model.
        discount_ppm: of its account.
        others: rates of the models that may take over, each with the groups through which the key reaches it.
    """
    asked, policy = client.asked, client.key.policy
    body = client.exchange.request.body
    beside = asked.beside or _NOTHING
    # A form has its text and media counted by its endpoint's reader.
    form = client.words in registry.ENDPOINTS and is_form(client.exchange.request.headers.get("content-type", ""))
    input_tokens, media = (0, True) if form else _input_tokens(body)
    talks = client.words not in registry.ENDPOINTS or client.words in registry.CONVERSANTS
    output_tokens = (asked.max_output or (limits.OUTPUT_TOKENS_ASSUMED if talks else 0)) * asked.choices
    groups = client.groups
    group = groups[0] if len(groups) == 1 else rates.dearest_group(groups)

    def worst(rates: ModelRates, group: str, output_tokens: int) -> int:
        return rates.worst_case(
            input_tokens,
            output_tokens,
            group,
            discount_ppm,
            media=media,
            beside=asked.beside,
            variant=asked.variant,
        )

    def amounts(output_tokens: int) -> tuple[int, int, int, int]:
        nano = worst(rates, group, output_tokens)
        for other, reached in others:
            nano = max(nano, worst(other, other.dearest_group(reached), output_tokens))
        # Of what a provider may count in tokens or in pieces, the pieces: limits of tokens are for text.
        return nano, 1, input_tokens + beside.input + output_tokens, beside.images

    whole = amounts(output_tokens)
    # A client that states no bound may get a long answer or a short one: it can begin with what the first token costs.
    least = whole if asked.max_output or not output_tokens else amounts(asked.choices)
    return JobNeed(whole, least, policy.key, policy.user, client.model.name, groups[0])


def _input_tokens(body: bytes) -> tuple[int, bool]:
    """Return a high count of a body's tokens, and whether there is data in it that may be a picture or sound."""
    if len(body) <= PLAIN_BYTES_MAX:
        return len(body) // BYTES_PER_TOKEN_MIN, False
    text_bytes, tokens, media = len(body), 0, False
    for found in LONG_BASE64.finditer(body):
        start, size_bytes = found.start(), found.end() - found.start()
        text_bytes -= size_bytes
        if body.startswith(b'"data:', start) or _DATA_KEY.search(body, max(start - _KEY_BYTES_MAX, 0), start):
            tokens += min(size_bytes // DATA_BYTES_PER_TOKEN, DATA_TOKENS_MAX)
            media = True
        else:
            tokens += size_bytes  # a model reads it as text, and few letters at a time
    return text_bytes // BYTES_PER_TOKEN_MIN + tokens, media
