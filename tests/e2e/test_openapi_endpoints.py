"""Every operation of the admin API takes whatever is sent: here a few made-up requests, by `make fuzz-api` many."""

from tests.fuzz.endpoints import fuzz
from tests.support.surface import running_surface

EXAMPLES = 2
OPERATIONS_MIN = 170
"""There are more each year; with fewer, the document that was served was not the whole one."""


def test_no_request_is_the_servers_fault() -> None:
    with running_surface() as surface:
        document = surface.admin("GET", "/openapi.json")
        found = fuzz(surface, examples=EXAMPLES, phases=("fuzzing",), seed=1)
    operations = [described["operationId"] for place in document["paths"].values() for described in place.values()]
    assert found.good, found.report
    assert found.operations == len(operations) > OPERATIONS_MIN
    assert found.cases > found.operations
