"""Ask with models that may take over, and print which one has answered.

The SDK reads where to go and with which key from the environment:

    export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=sk-tl-...
    MODELS="demo another-model a-third-one" python examples/fallbacks.py "Hello there"
"""

import os
import sys

from openai import OpenAI

model, *fallbacks = os.environ.get("MODELS", "demo").split()
client = OpenAI()
answer = client.chat.completions.with_raw_response.create(
    model=model,
    messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "Hello!"}],
    extra_body={"fallback_models": fallbacks},
)
print(answer.parse().choices[0].message.content)
served = answer.headers.get("x-trunkline-model", model)
print(f"({served}, after {answer.headers['x-trunkline-attempts']} attempts)", file=sys.stderr)
