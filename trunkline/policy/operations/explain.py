"""Operations that say why a job goes where it goes."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_explain import JobExplained, RoutePlan, RouteQuestion
from trunkline.policy.operations.operation import Operation, get

ROUTING: Final = Operation(
    id="explain_routing",
    method="POST",
    path="/explain",
    access=Access.OPERATOR,
    summary="Say who would serve a job now, in which order, and who would not and why.",
    body=RouteQuestion,
    answer=RoutePlan,
    audited=False,
)
JOB: Final = get(
    "explain_job",
    "/explain/{request}",
    Access.OPERATOR,
    "Say what became of a request, by its id, and who would serve it now.",
    JobExplained,
)

OPERATIONS: Final = (ROUTING, JOB)
