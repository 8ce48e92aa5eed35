"""Prices through the whole stack: images by size and quality, models without a price, prices from a moment on."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.support.beside import Gateway, error_of
from tests.support.stack import until
from tests.support.surface import running_surface
from trunkline.dev.demo.beside_images import png
from trunkline.store.database import single_connection
from trunkline.store.usage import AttemptUsage

ACCOUNT = "painter"
CENT = 10_000_000
"""In nano-USD."""

PRICE_BEGINS_S = 3.0
"""Time enough to see that it has not begun."""

LISTED_WITHIN_S = PRICE_BEGINS_S + 5.0

CENTS_EACH = {
    "images": 2,
    "images@1024x1024": 4,
    "images@1024x1024/hd": 8,
    "images@1024x1024/low": 1,
    "images@high": 17,
}
PRICE = {kind: cents * 10_000 for kind, cents in CENTS_EACH.items()}
"""USD per million images."""

COST = {"images": 10_000, "images@1024x1024/hd": 60_000}
MODELS = {
    "silent": "dall-e-2",  # answers neither size nor quality
    "stating": "gpt-image-1?no_usage=true",  # answers that it made a square of low quality
    "reporting": "gpt-image-1",  # the same, and tokens
}


def configuration(upstream_url: str) -> dict[str, Any]:
    channel = {
        "name": "painters",
        "dialect": "openai",
        "base_url": f"{upstream_url}/v1",
        "credentials": ["sk-painters"],
        "models": MODELS,
        "costs": {"silent": COST},
    }
    return {
        "channels": [channel],
        "models": [{"name": name, "price": PRICE} for name in MODELS],
        "accounts": [{"name": ACCOUNT, "credit": "1000"}],
    }


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_surface() as surface:
        surface.admin("POST", "/apply", configuration(surface.ready.upstream_url))
        key = surface.new_key(ACCOUNT, "painter")
        for model in MODELS:
            surface.wait_for_status(key, 200, f"/v1/models/{model}")
        gateway = Gateway(surface, key)
        yield gateway
        gateway.close()


def paid(gateway: Gateway, request_id: str | None) -> tuple[str, int, int]:
    """Return what kind of images a request was charged for, and for how many cents, charged and paid by us."""
    attempt: AttemptUsage = gateway.settled(request_id)
    assert not attempt.unpriced
    return attempt.variant, attempt.charge_nano // CENT, attempt.cost_nano // CENT


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        ({"size": "1024x1024", "quality": "hd"}, ("1024x1024/hd", 2 * 8, 2 * 6)),
        ({"size": "1024x1024", "quality": "medium"}, ("1024x1024/medium", 2 * 4, 2)),
        ({"size": "512x512", "quality": "high"}, ("512x512/high", 2 * 17, 2)),
        ({"size": "512x512"}, ("512x512", 2 * 2, 2)),
        ({"size": "auto", "quality": "auto"}, ("", 2 * 2, 2)),
        ({}, ("", 2 * 2, 2)),
    ],
)
def test_images_cost_what_was_asked_for_where_the_answer_does_not_say(
    gateway: Gateway, look: dict[str, Any], expected: tuple[str, int, int]
) -> None:
    raw = gateway.openai.images.with_raw_response.generate(model="silent", prompt="a cat", n=2, **look)
    assert len(raw.parse().data or ()) == 2
    assert paid(gateway, raw.request_id) == expected


@pytest.mark.parametrize("model", ["stating", "reporting"])
def test_images_cost_what_the_answer_says(gateway: Gateway, model: str) -> None:
    """Also where the provider reports tokens, if the model has no price for them."""
    asked: dict[str, Any] = {"size": "1536x1024", "quality": "high"}
    raw = gateway.openai.images.with_raw_response.generate(model=model, prompt="a cat", n=3, **asked)
    answer = raw.parse()
    assert (answer.size, answer.quality) == ("1024x1024", "low")
    assert paid(gateway, raw.request_id) == ("1024x1024/low", 3, 0)


def test_streamed_images_and_edits_cost_what_their_events_and_answers_say(gateway: Gateway) -> None:
    stream = gateway.openai.images.generate(
        model="stating", prompt="a cat", stream=True, partial_images=1, quality="high"
    )
    assert [event.type.rpartition(".")[2] for event in stream] == ["partial_image", "completed"]
    assert paid(gateway, stream.response.headers["x-request-id"]) == ("1024x1024/low", 1, 0)
    picture = ("cat.png", png("cat"), "image/png")
    raw = gateway.openai.images.with_raw_response.edit(
        model="silent", prompt="a hat", image=picture, size="1024x1024", quality="high"
    )
    assert paid(gateway, raw.request_id) == ("1024x1024/high", 4, 1)


def add_unpriced(gateway: Gateway, model: str) -> None:
    """Add a model that a channel serves and that has no price: nothing but the database lets one do that."""
    ready = gateway.surface.ready

    async def insert() -> None:
        async with single_connection(ready.postgres_dsn, application="test", command_timeout_s=5) as connection:
            await connection.execute("insert into models (name) values ($1)", model)

    asyncio.run(insert())
    gateway.surface.admin(
        "PUT",
        f"/channels/{model}",
        {
            "dialect": "openai",
            "base_url": f"{ready.upstream_url}/v1",
            "credentials": ["sk-x"],
            "models": {model: "demo"},
        },
    )


def test_a_model_without_a_price_is_refused_until_its_price_begins(gateway: Gateway) -> None:
    add_unpriced(gateway, "unpriced")
    messages: Any = [{"role": "user", "content": "hi"}]

    def refused() -> openai.PermissionDeniedError | None:
        try:
            gateway.openai.chat.completions.create(model="unpriced", messages=messages)
        except openai.NotFoundError:
            return None  # this edge has not heard of it yet
        except openai.PermissionDeniedError as error:
            return error
        raise AssertionError("it was served for nothing")

    error = error_of(until(refused, 5, "the model is known").response.json())
    assert error.param == "model"
    assert "it has no price" in error.message
    assert "unpriced" not in {model.id for model in gateway.openai.models.list()}
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=PRICE_BEGINS_S)
    price = {"price": {"input": 1, "output": 2}, "effective_from": moment.isoformat()}
    gateway.surface.admin("PUT", "/models/unpriced/prices", price)
    assert refused() is not None
    until(
        lambda: "unpriced" in {model.id for model in gateway.openai.models.list()},
        LISTED_WITHIN_S,
        "the model is listed",
    )
    assert dt.datetime.now(dt.UTC) >= moment
    raw = gateway.openai.chat.completions.with_raw_response.create(model="unpriced", messages=messages)
    usage = raw.parse().usage
    assert usage is not None
    attempt = gateway.settled(raw.request_id)
    assert attempt.charge_nano == 1000 * (usage.prompt_tokens + 2 * usage.completion_tokens) > 0


def test_a_discount_applies_to_what_comes_after(gateway: Gateway) -> None:
    gateway.surface.admin("POST", "/accounts", {"name": "regular", "credit": "10"})
    regular = Gateway(gateway.surface, gateway.surface.new_key("regular", "r"))
    gateway.surface.admin("POST", "/apply", {"discounts": [{"monthly": "0.03", "percent": 25}]})

    def paint() -> AttemptUsage:
        raw = regular.openai.images.with_raw_response.generate(model="silent", prompt="x")
        return regular.settled(raw.request_id)

    def discounted() -> AttemptUsage | None:
        attempt = paint()
        return attempt if attempt.discount_ppm else None

    try:
        assert [paint().charge_nano for _ in range(2)] == [2 * CENT, 2 * CENT]
        # Metering learns of the schedule within a second.
        attempt = until(discounted, 5, "there is a discount")
        assert (attempt.charge_nano, attempt.discount_ppm) == (2 * CENT * 3 // 4, 250_000)
    finally:
        regular.close()
        gateway.surface.admin("POST", "/apply", {"discounts": []})
