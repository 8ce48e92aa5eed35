"""The models list."""

import json

from trunkline.protocol.models import ModelCard
from trunkline.protocol.openai_models import render_model, render_models


def test_list_and_single_model_have_openais_shape() -> None:
    cards = [ModelCard("a/b", 5, "trunkline"), ModelCard("c", 6, "x")]
    one = {"id": "a/b", "created": 5, "owned_by": "trunkline", "object": "model"}
    assert json.loads(render_model(cards[0])) == one
    two = {"id": "c", "created": 6, "owned_by": "x", "object": "model"}
    assert json.loads(render_models(cards)) == {"object": "list", "data": [one, two]}
    assert json.loads(render_models([])) == {"object": "list", "data": []}
