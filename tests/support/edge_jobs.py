"""Requests at an edge, as the steps of its path have left them before their hold."""

import json
from typing import cast

from services.edge.client_job import ClientJob
from services.edge.models import Models
from services.edge.routes import find_route
from services.edge.routing_wishes import read_wish, route
from trunkline.bus import snapshots, subjects
from trunkline.bus.snapshots import KeyPolicy, ModelSnapshot
from trunkline.core.ids import JobIDMint
from trunkline.policy.keys import CompiledKey
from trunkline.protocol import registry
from trunkline.protocol.dialect import ClientRequest
from trunkline.runtime.http_exchange import Exchange, Request, Wire

CHAT_PATH = "/v1/chat/completions"

_mint = JobIDMint(0x7E57)


def models(*known: ModelSnapshot) -> Models:
    """Return the models of an edge."""
    found = Models()
    for model in known:
        found.changed(subjects.kv_token(model.name), snapshots.encode(model))
    return found


def edge_job(
    known: Models,
    asked: ClientRequest,
    body: bytes | None = None,
    *,
    path: str = CHAT_PATH,
    policy: KeyPolicy | None = None,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> ClientJob:
    """Return a request up to the step ``admit``.

    Args:
        known: the models, of which it names one.
        asked: what `read` made of it.
        body: None for a small chat.
        path: of a route.
        policy: of its key; by default key 1 of account 7, which may use all models of the group ``default``.
        content_type: of the body.
        headers: further ones, names in lower case.
    """
    if body is None:
        body = json.dumps({"model": asked.model, "messages": []}).encode()
    request = Request("POST", path, "", {"content-type": content_type, **(headers or {})}, body, "127.0.0.1")
    client = ClientJob(Exchange(cast("Wire", None), request, keep_alive=True, chunked=True), _mint.mint(0), 0.0)
    client.match = find_route(path)
    assert client.match is not None
    if client.match.dialect:
        client.dialect = registry.CLIENTS[client.match.dialect]
    client.key = CompiledKey(
        policy or KeyPolicy(key=1, key_name="k", account=7, account_name="a", groups=("default",), models=("*",))
    )
    client.asked = asked
    client.wish = read_wish(client)
    client.model, client.groups = known.find(asked.model, client.key)
    route(client, known)
    return client
