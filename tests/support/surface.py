"""A stack of real processes as its clients see it: what the tests of the public surface share.

Everything here is synchronous: a test of a surface asks, and looks at the answer.
"""

import os
import signal
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support.raw_http import Response
from tests.support.servers import server_directory
from tests.support.stack import DevStack, alive, running_stack, until
from trunkline.cli import http
from trunkline.dev.demo.counts import Counts
from trunkline.dev.demo.upstream import LastRequest
from trunkline.dev.ready import ProcessEntry, ReadyFile
from trunkline.policy.admin_accounts import CreatedKey
from trunkline.policy.admin_api import PREFIX

CHANGE_TIMEOUT_S = 20.0
"""A change of the configuration is known everywhere within a second; a busy machine gets more."""

IDLE_TIMEOUT_S = 10.0
RESTART_TIMEOUT_S = 20.0

SERVICES = ("edge", "dispatcher", "metering", "health", "console")
"""Roles that have an ops port."""

ACCOUNT = "surface"
"""The account of the tests' own keys."""

READ_TIMEOUT_S = 4.0
BODY_BYTES_MAX = 512 * 1024
"""Bounds of the edge, so small that tests of them are quick. Two hundred clients that connect at once, on a busy
machine, may take two seconds until all have sent something."""


class OpenAIError(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The inside of an error as OpenAI words it: these four fields and no other."""

    message: str
    type: str
    param: str | None
    code: str | None


class _ErrorBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    error: OpenAIError


def read_error(response: Response, *, own_words: bool = True) -> OpenAIError:
    """Return the error of an answer after checking all that every error must have.

    Args:
        response: the answer.
        own_words: whether the message is the gateway's own, not an upstream's.
    """
    assert 400 <= response.status < 500, f"{response.status}: {response.body.decode(errors='replace')}"
    assert response.headers["content-type"] == "application/json"
    assert uuid.UUID(response.headers["x-request-id"]).version == 7
    error = msgspec.json.decode(response.body, type=_ErrorBody).error
    assert not own_words or error.message.endswith("."), "not a sentence"
    assert not own_words or len(error.message.split()) >= 5, "says too little"
    assert "Traceback" not in error.message
    return error


class Surface:
    """A running stack.

    Args:
        stack: the process that runs it.
    """

    def __init__(self, stack: DevStack) -> None:
        self.stack = stack

    @property
    def ready(self) -> ReadyFile:
        """What it says of itself now: a process that was started again has another id."""
        return self.stack.ready

    # --- console -------------------------------------------------------------------------------------------------

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """Call the admin API, and return the JSON of its good answer."""
        ready = self.ready
        headers = {"authorization": f"Bearer {ready.admin_key}", "content-type": "application/json"}
        content = None if body is None else msgspec.json.encode(body)
        answer = http.call(method, f"{ready.console_url}{PREFIX}{path}", body=content, headers=headers)
        assert answer.status < 300, answer.body.decode()
        return msgspec.json.decode(answer.body) if answer.body else None

    def new_key(self, account: str, name: str, **permissions: object) -> str:
        """Make a key and return its secret once the first edge takes it."""
        created = self.admin("POST", f"/accounts/{account}/keys", {"name": name, **permissions})
        secret = msgspec.convert(created, CreatedKey, strict=False).secret
        self.wait_for_status(secret, 200)
        return secret

    def wait_for_status(self, secret: str, status: int, path: str = "/v1/models") -> None:
        """Return once the edge answers a GET with a key so."""
        until(lambda: self.get(path, secret) == status, CHANGE_TIMEOUT_S, f"GET {path} is answered with {status}")

    def get(self, path: str, secret: str) -> int:
        """Return the status of a GET from the edge."""
        return http.call("GET", f"{self.ready.base_url}{path}", headers={"authorization": f"Bearer {secret}"}).status

    # --- demo upstream -------------------------------------------------------------------------------------------

    def last_request(self) -> LastRequest:
        """Return what the demo upstream got last."""
        return msgspec.json.decode(http.call("GET", f"{self.ready.upstream_url}/last").body, type=LastRequest)

    def counts(self) -> Counts:
        """Return what the demo upstream has counted."""
        return msgspec.json.decode(http.call("GET", f"{self.ready.upstream_url}/counts").body, type=Counts)

    # --- ops ports -----------------------------------------------------------------------------------------------

    def processes(self, roles: Iterable[str] = SERVICES) -> list[tuple[str, ProcessEntry]]:
        """Return the processes of some roles."""
        ready = self.ready
        return [(role, entry) for role in roles for entry in ready.processes[role]]

    def restart(self, role: str, number: signal.Signals) -> None:
        """End a process with a signal, and return once its successor is ready."""
        old = self.ready.processes[role][0].pid
        os.kill(old, number)
        until(lambda: self.ready.processes[role][0].pid != old, RESTART_TIMEOUT_S, f"{role} is started again")

    def metrics(self, ops_url: str) -> list[Metric]:
        """Return the metrics of a process, parsed."""
        answer = http.call("GET", f"{ops_url}/metrics")
        assert answer.status == 200
        return list(text_string_to_metric_families(answer.body.decode()))

    def edge_sum(self, sample_name: str) -> float:
        """Return a metric of the first edge, summed over its labels."""
        metrics = self.metrics(self.ready.processes["edge"][0].ops_url)
        return sum(sample.value for metric in metrics for sample in metric.samples if sample.name == sample_name)

    def wait_until_idle(self) -> None:
        """Return once the edge has no job in flight."""
        until(lambda: self.edge_sum("trunkline_edge_jobs") == 0, IDLE_TIMEOUT_S, "no job is in flight")


@contextmanager
def running_surface(*arguments: str, settings: Mapping[str, str] | None = None) -> Iterator[Surface]:
    """Run a stack for the length of the block, with the demo configuration unless ``arguments`` name another.

    If the block comes to a good end, so must the stack.

    Args:
        arguments: further ones of `trunkline dev`.
        settings: environment variables for its services.
    """
    with server_directory("surface") as directory, running_stack(directory, *arguments, environment=settings) as stack:
        stack.wait_ready()
        yield Surface(stack)
        if alive(stack.pid):
            assert stack.stop() == 0, stack.said


def configuration(upstream_url: str) -> dict[str, object]:
    """Return channels that rename, limit and refuse, beside the demo's own, and the account `ACCOUNT`."""
    models = {
        "surface": {"renamed": "upstream-name", "vendor/model:free": "demo"},
        "limited": {"limited": "demo?status=429&retry_after=7"},
        "refusing": {"refusing": "demo?status=400"},
    }
    return {
        "channels": [
            {
                "name": channel,
                "dialect": "openai",
                "base_url": f"{upstream_url}/v1",
                "credentials": [f"sk-{channel}-upstream"],
                "models": served,
            }
            for channel, served in models.items()
        ],
        "models": [
            {"name": name, "price": {"input": "0.1", "output": "0.4"}} for served in models.values() for name in served
        ],
        "accounts": [{"name": ACCOUNT, "credit": "100"}],
    }
