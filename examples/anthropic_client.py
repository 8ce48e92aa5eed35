"""Ask the same models with the official Anthropic SDK; its base URL is the bare host.

The SDK reads where to go and with which key from the environment:

    export ANTHROPIC_BASE_URL=http://127.0.0.1:8080 ANTHROPIC_API_KEY=sk-tl-...
    python examples/anthropic_client.py "What is a trunk line?"
"""

import os
import sys

from anthropic import Anthropic

client = Anthropic()
with client.messages.stream(
    model=os.environ.get("MODEL", "demo"),
    max_tokens=1000,
    messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "Hello!"}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
print()
