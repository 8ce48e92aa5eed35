"""Ask the same models with the official Gemini SDK; its base URL is the bare host.

Where to go and with which key stands in the environment, which the SDK reads the key from, too:

    export TRUNKLINE_BASE_URL=http://127.0.0.1:8080 GEMINI_API_KEY=sk-tl-...
    python examples/gemini_client.py "What is a trunk line?"
"""

import os
import sys

from google import genai
from google.genai.types import HttpOptions

question = " ".join(sys.argv[1:]) or "Hello!"
with genai.Client(http_options=HttpOptions(base_url=os.environ["TRUNKLINE_BASE_URL"])) as client:
    for piece in client.models.generate_content_stream(model=os.environ.get("MODEL", "demo"), contents=question):
        print(piece.text or "", end="", flush=True)
print()
