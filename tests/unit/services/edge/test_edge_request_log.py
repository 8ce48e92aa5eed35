"""The line of log of a request that another model has answered."""

import io
import json

import pytest

from services.edge.request_log import RequestLog
from tests.support.edge_jobs import edge_job, models
from tests.support.manual_clock import ManualClock
from trunkline.bus.snapshots import ModelSnapshot
from trunkline.protocol.dialect import ClientRequest
from trunkline.runtime.logging import LineLog

KNOWN = models(ModelSnapshot("m", ("default",), free=True))


@pytest.mark.parametrize(("served", "logged"), [("", "m"), ("spare", "spare")])
def test_the_line_names_the_model_that_answered(served: str, logged: str) -> None:
    clock, written = ManualClock(), io.BytesIO()
    lines = LineLog(clock, written)
    client = edge_job(KNOWN, ClientRequest("m", stream=False))
    client.served, client.offers = served, 1
    RequestLog(lines, "edge-1", clock).write(client, "chat_completions", 1.0)
    lines.flush()
    assert json.loads(written.getvalue())["model"] == logged
