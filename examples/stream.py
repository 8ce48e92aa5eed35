"""The same as chat.py, with the answer printed as it comes.

export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=sk-tl-...
python examples/stream.py "Tell me a story."
"""

import os
import sys

from openai import OpenAI

client = OpenAI()
stream = client.chat.completions.create(
    model=os.environ.get("MODEL", "demo"),
    messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "Hello!"}],
    stream=True,
    stream_options={"include_usage": True},
)
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
    if chunk.usage is not None:
        print(f"\n({chunk.usage.total_tokens} tokens)", file=sys.stderr)
