"""Requests for images, and the provider that they go to."""

from typing import Any

from tests.support.form_bodies import field, form
from trunkline.protocol import names
from trunkline.protocol.endpoint import Endpoint, Provider
from trunkline.protocol.endpoints.images import ImageEdits, ImageGenerations
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.vendor import VendorOptions

JSON = "application/json"
GENERATIONS: Endpoint = ImageGenerations()
EDITS: Endpoint = ImageEdits()

REQUEST = b'{"model" : "gpt-image-2", "prompt":"a cat","n":2,"vendor":{"model":"x"},"stream":false}'
EDIT = form(
    field("image[]", b"\x89PNG1", '; filename="a.png"\r\nContent-Type: image/png'),
    field("image[]", b"\x89PNG2", '; filename="b.png"\r\nContent-Type: image/png'),
    field("mask", b"\x89PNG3", '; filename="m.png"'),
    field("model", b"gpt-image-2"),
    field("prompt", b"a hat"),
)


def provider(dialect: str = names.UPSTREAM_OPENAI, model: str = "up", **options: Any) -> Provider:
    return Provider(dialect, model, "public", VendorOptions(**options), RequestRules())
