"""Operations on payments. Their announcement is no operation: a provider's signature is its key."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_credit import PaymentAssignment, PaymentView
from trunkline.policy.operations.operation import Operation, Parameter, get
from trunkline.policy.operations.parameters import BOOLEAN

LIST: Final = get(
    "list_payments",
    "/payments",
    Access.OPERATOR,
    "List payments, the newest first; amounts in the smallest unit of their currency.",
    list[PaymentView],
    Parameter("aside", "Whether only those that wait for a person.", BOOLEAN),
)
ASSIGN: Final = Operation(
    id="assign_payment",
    method="POST",
    path="/payments/{provider}/{reference}/assign",
    access=Access.OPERATOR,
    summary="Book a payment that was kept aside.",
    body=PaymentAssignment,
    answer=PaymentView,
)

OPERATIONS: Final = (LIST, ASSIGN)
