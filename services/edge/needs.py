"""What a job may come to, for its hold: the worst case as far as the client bounds it (ADR 6)."""

from services.edge.client_job import ClientJob
from trunkline.core import limits
from trunkline.policy.lease import JobNeed
from trunkline.policy.pricing import ModelRates
from trunkline.protocol import registry
from trunkline.protocol.tokens import estimate_input

BYTES_PER_TOKEN_MIN = 3
"""Of text in a request: nearly all have more, so that a count by it is high. An exact one takes a hundred times as long
as all the rest of a hold."""

PLAIN_BYTES_MAX = 1024
"""A body up to here has no picture in it that would have to be left out of the count."""


def job_need(client: ClientJob, rates: ModelRates, discount_ppm: int) -> JobNeed:
    """Return what a job may come to.

    Args:
        client: a request up to the step ``admit``.
        rates: of its model.
        discount_ppm: of its account.
    """
    asked, policy = client.asked, client.key.policy
    body = client.exchange.request.body
    form = asked.beside is not None and client.exchange.request.headers.get("content-type", "").startswith("multipart/")
    if form:
        input_tokens = 0
    elif len(body) <= PLAIN_BYTES_MAX:
        input_tokens = len(body) // BYTES_PER_TOKEN_MIN
    else:
        input_tokens = estimate_input(body) * 4 // BYTES_PER_TOKEN_MIN
    talks = client.words not in registry.ENDPOINTS or client.words in registry.CONVERSANTS
    output_tokens = asked.max_output or (limits.OUTPUT_TOKENS_ASSUMED if talks else 0)
    groups = client.groups
    group = groups[0] if len(groups) == 1 else rates.dearest_group(groups)
    images = 0 if asked.beside is None else asked.beside.images

    def amounts(output_tokens: int) -> tuple[int, int, int, int]:
        nano = rates.worst_case(
            input_tokens,
            output_tokens,
            group,
            discount_ppm,
            media=form,
            beside=asked.beside,
            variant=asked.variant,
        )
        return nano, 1, input_tokens + output_tokens, images

    whole = amounts(output_tokens)
    # A client that states no bound may get a long answer or a short one: it can begin with what the first token costs.
    least = whole if asked.max_output or not output_tokens else amounts(1)
    return JobNeed(whole, least, policy.key, policy.user, client.model.name, groups[0])
