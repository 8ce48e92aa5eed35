"""Models to play with: a stack's demo upstream, told what to answer."""

import json
from collections.abc import Mapping
from urllib.parse import urlencode

from tests.support.surface import Surface
from trunkline.cli import http

ACCOUNT = "playhouse"
"""The account of those who play."""

RICH = "sk-rich"
"""The credential of the channels whose answer a test gives in full: it may be longer than a model's name."""

PRICE = {"input": "1", "output": "2"}

CODE = 'def step(x):\n    """One step."""\n\n\n    if x:\n\t\treturn [  ]   \n    return {\n    }\n\n# end'
"""With empty lines, tabs, and spaces at the end of a line: what copying must keep."""

ANSWER = f"""Here is a **step**, as you asked.

1. first,
2. then.

```python
{CODE}
```

| dt | error |
| --- | --- |
| 0.1 | 2 % |

See [the notes](https://notes.example/) too.
"""

HOSTILE = """<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">
<svg onload="window.hacked = 3"><a href="javascript:window.hacked=4">svg</a></svg>
<iframe srcdoc="<script>parent.hacked = 5</script>"></iframe><style>body { display: none }</style>
<a href="data:text/html,<script>window.hacked=6</script>" onclick="window.hacked = 7">data</a>
<form action="javascript:window.hacked=8"><input name="x" autofocus onfocus="window.hacked = 9"></form>

[link](javascript:window.hacked=10) [other](data:text/html;base64,PHNjcmlwdD4=) ![picture](https://evil.example/seen.png)
![svg](data:image/svg+xml,<svg/onload=window.hacked=11>)
<math><mi xlink:href="javascript:window.hacked=12">m</mi></math>

```html
<img src=x onerror="window.hacked = 13">
```
"""
"""What a model might be made to say."""


def demo(**script: object) -> str:
    """Return an upstream model's name that carries a script."""
    return f"demo?{urlencode(script)}"


MODELS = {
    "gpt-4o": demo(delay_ms=4),
    "thinker-r1": demo(reasoning="First I look at the question.", text="It is 42."),
    "caller": demo(tool="get_weather", arguments='{"city":"Paris"}'),
    "endless": demo(chunks=100_000, delay_ms=20, tag="endless"),
    "broken": demo(text="It begins well and then", error_mid_stream=3),
    "limited": demo(status=429, retry_after=1),
    "<img src=x onerror=alert(1)>": "demo",
}


def configure(surface: Surface) -> None:
    """Give the stack the models, and `ACCOUNT` credit."""
    url = surface.ready.upstream_url
    surface.admin(
        "POST",
        "/apply",
        {
            "channels": [
                {
                    "name": "play-rich",
                    "dialect": "openai",
                    "base_url": f"{url}/v1",
                    "credentials": [RICH],
                    "models": {"gpt-4o": MODELS["gpt-4o"]},
                },
                {
                    "name": "play-claude",
                    "dialect": "anthropic",
                    "base_url": f"{url}/v1",
                    "credentials": ["sk-claude"],
                    "models": {"claude-opus-5": "demo"},
                    "params": {"drop": ["top_p"]},
                },
                {
                    "name": "play-plain",
                    "dialect": "openai",
                    "base_url": f"{url}/v1",
                    "credentials": ["sk-play"],
                    "models": {name: upstream for name, upstream in MODELS.items() if name != "gpt-4o"},
                    "params": {"clamp": {"top_p": {"min": 0.01, "max": 0.99}}, "drop": ["seed"]},
                },
            ],
            "models": [{"name": name, "price": PRICE} for name in (*MODELS, "claude-opus-5")],
            "accounts": [{"name": ACCOUNT, "credit": 100}],
        },
    )
    answers(surface, {"text": ANSWER})


def answers(surface: Surface, script: Mapping[str, object] | None) -> None:
    """Have ``gpt-4o`` answer so from now on."""
    body = json.dumps({"credential": RICH, "script": script}).encode()
    answer = http.call("POST", f"{surface.ready.upstream_url}/script", body=body)
    assert answer.status == 200, answer.body
