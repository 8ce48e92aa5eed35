"""Operations on invoices, on whom they are made out to, and on topping up."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_credit import TopUp
from trunkline.policy.announcements import LANGUAGES
from trunkline.policy.invoices import BillingDetails, InvoiceSummary
from trunkline.policy.operations.operation import Operation, Parameter, get

PDF: Final = "application/pdf"

_ACCOUNT: Final = "/accounts/{account}"

LIST_INVOICES: Final = get(
    "list_invoices",
    f"{_ACCOUNT}/invoices",
    Access.MONEY_READ,
    "List the months in which something was booked, the newest first.",
    list[InvoiceSummary],
)
SHOW_INVOICE: Final = Operation(
    id="show_invoice",
    method="GET",
    path=f"{_ACCOUNT}/invoices/{{month}}",
    access=Access.MONEY_READ,
    summary="Make the invoice of a month, such as 2030-01, as a PDF.",
    media=PDF,
    query=(
        Parameter(
            "language",
            "Of the invoice; what the browser asks for if left out.",
            {"type": "string", "enum": list(LANGUAGES)},
        ),
    ),
    long=True,
)
SHOW_BILLING: Final = get(
    "show_billing",
    f"{_ACCOUNT}/billing",
    Access.MONEY_READ,
    "Show whom an account's invoices are made out to.",
    BillingDetails,
)
SET_BILLING: Final = Operation(
    id="set_billing",
    method="PUT",
    path=f"{_ACCOUNT}/billing",
    access=Access.ACCOUNT_WRITE,
    summary="Say whom an account's invoices are made out to, those of past months, too.",
    body=BillingDetails,
    answer=BillingDetails,
    shows="show_billing",
)
SHOW_TOP_UP: Final = get(
    "show_top_up",
    f"{_ACCOUNT}/top-up",
    Access.MONEY_READ,
    "Show where an account's people can pay in.",
    TopUp,
)

OPERATIONS: Final = (LIST_INVOICES, SHOW_INVOICE, SHOW_BILLING, SET_BILLING, SHOW_TOP_UP)
