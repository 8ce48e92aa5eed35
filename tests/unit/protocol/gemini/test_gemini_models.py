"""The models list in Google's shape."""

import json

from trunkline.protocol.gemini.models import render_model, render_models
from trunkline.protocol.models import ModelCard

SHOWN = {
    "name": "models/org/x",
    "displayName": "org/x",
    "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
}


def test_models_are_listed_and_shown_alone() -> None:
    card = ModelCard("org/x", 1, "org")
    assert json.loads(render_models([card])) == {"models": [SHOWN]}
    assert json.loads(render_models([])) == {"models": []}
    assert json.loads(render_model(card)) == SHOWN
