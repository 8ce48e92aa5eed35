"""What every crossing of dialects costs stands in the ledger as the provider reported it, to the token.

The provider counts in its own dialect what it reports; the ledger holds disjoint buckets. Here the two are compared for
every client dialect on every upstream dialect, with cached and reasoning tokens, and for answers that break off.
"""

import asyncio
import contextlib
import json

from tests.support.books import reported_in_ledger
from tests.support.sdk_clients import CLIENTS, TOOL, Question
from tests.support.surface import running_surface
from tests.support.waiting import eventually
from trunkline.cli import http
from trunkline.dev.demo.counts import ModelUsage
from trunkline.protocol.names import UPSTREAMS
from trunkline.store.database import single_connection

BASES = {"openai": "/v1", "openai-responses": "/v1", "azure": "", "anthropic": "/v1", "gemini": "/v1beta"}
BEHAVIOURS: dict[str, dict[str, object]] = {
    "plain": {},
    "thinks": {"reasoning": "First I think about it. ", "text": "Then I say so.", "cached_tokens": 1000},
    "calls": {"tool": TOOL, "tool_calls": 2},
    "cut": {"chunks": 20, "cut_after": 5},
}
SETTLED_TIMEOUT_S = 20.0


def configuration(upstream_url: str) -> dict[str, object]:
    cells = [(behaviour, upstream) for behaviour in BEHAVIOURS for upstream in UPSTREAMS]
    return {
        "channels": [
            {
                "name": f"{upstream}-{behaviour}",
                "dialect": upstream,
                "base_url": upstream_url + BASES[upstream],
                "credentials": [f"sk-{upstream}-{behaviour}"],
                "models": {f"{upstream}-{behaviour}": f"of-{upstream}-{behaviour}"},
            }
            for behaviour, upstream in cells
        ],
        "models": [
            {"name": f"{upstream}-{behaviour}", "price": {"input": "0.1", "output": "0.4"}}
            for behaviour, upstream in cells
        ],
        "accounts": [{"name": "books", "credit": "100"}],
    }


async def test_the_ledger_has_what_every_dialect_reported() -> None:
    with running_surface() as surface:
        url = surface.ready.upstream_url
        surface.admin("POST", "/apply", configuration(url))
        for behaviour, script in BEHAVIOURS.items():
            for upstream in UPSTREAMS:
                order = {"credential": f"sk-{upstream}-{behaviour}", "script": script}
                assert http.call("POST", f"{url}/script", body=json.dumps(order).encode()).status == 200
        key = surface.new_key("books", "books")
        for behaviour in BEHAVIOURS:
            for upstream in UPSTREAMS:
                surface.wait_for_status(key, 200, f"/v1/models/{upstream}-{behaviour}")
        for make in CLIENTS.values():
            client = make(surface.ready.base_url, key)
            for upstream in UPSTREAMS:
                for behaviour in BEHAVIOURS:
                    for stream in (False, True):
                        question = Question(f"{upstream}-{behaviour}", tool=behaviour == "calls")
                        with contextlib.suppress(client.error):
                            await asyncio.to_thread(client.ask, question, stream=stream)
            client.close()

        reported = {model: used for model, used in surface.counts().reported.items() if model.startswith("of-")}
        booked: dict[str, ModelUsage] = {}

        async def look() -> bool:
            async with single_connection(
                surface.ready.postgres_dsn, application="test", command_timeout_s=5
            ) as connection:
                booked.clear()
                booked.update(await reported_in_ledger(connection))
            return booked.keys() >= reported.keys() and all(booked[name] == reported[name] for name in reported)

        with contextlib.suppress(AssertionError):
            await eventually(look, within_s=SETTLED_TIMEOUT_S, what="all is settled")
        assert {name: used for name, used in booked.items() if name in reported} == reported
        assert len(reported) >= len(UPSTREAMS) * (len(BEHAVIOURS) - 1)
        thinking = reported["of-anthropic-thinks"]
        assert thinking.cached_tokens > 0
