"""Ask one question through the gateway with the official OpenAI SDK and print the answer.

The SDK reads where to go and with which key from the environment:

    export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=sk-tl-...
    python examples/chat.py "What is a trunk line?"
"""

import os
import sys

from openai import OpenAI

client = OpenAI()
answer = client.chat.completions.create(
    model=os.environ.get("MODEL", "demo"),
    messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "Hello!"}],
)
print(answer.choices[0].message.content)
if answer.usage is not None:
    print(f"({answer.usage.prompt_tokens} tokens in, {answer.usage.completion_tokens} out)", file=sys.stderr)
