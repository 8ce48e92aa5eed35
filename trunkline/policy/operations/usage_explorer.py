"""Operations that look at usage: of an account for its people, of the site for its operators."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_usage import (
    ACCOUNT_DIMENSIONS,
    COMPLETE,
    Dimension,
    Order,
    UsageAttempts,
    UsageBreakdown,
    UsageOverview,
    UsageRequest,
)
from trunkline.policy.operations.operation import Operation, Parameter, get
from trunkline.policy.operations.parameters import BOOLEAN, SINCE, UNTIL, choice

TOP_DEFAULT: Final = 10
TOP_MAX: Final = 200
"""Rows of a breakdown; more is for the export."""

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 200
"""Attempts of a page; each hour that has one of them may have to be read."""

_ACCOUNT: Final = "/accounts/{account}/usage"

_FILTERS: Final = (
    Parameter("user", "Only of this user of the account."),
    Parameter("key", "Only of this key of the account."),
    Parameter("model", "Only of this model."),
    Parameter("group", "Only through this group."),
    Parameter("outcome", f"Only attempts that ended so: {COMPLETE}, or a type of error."),
    Parameter("errors", "Whether only attempts that brought no complete answer.", BOOLEAN),
)
SITE_FILTERS: Final = (
    Parameter("account", "Only of this account."),
    *_FILTERS,
    Parameter("channel", "Only by this channel."),
)
_SPAN: Final = (SINCE, UNTIL)
_JOB: Final = Parameter("job", "Only of this request, whenever it was.")


def _whole(name: str, help_: str, default: int, most: int) -> Parameter:
    return Parameter(name, help_, {"type": "integer", "minimum": 1, "maximum": most, "default": default})


_TOP: Final = _whole("top", "How many rows.", TOP_DEFAULT, TOP_MAX)
_ORDER: Final = choice("order", "What the first rows have most of.", *(o for o in Order if o is not Order.COST))
_SITE_ORDER: Final = choice("order", "What the first rows have most of.", *Order)
_PAGE: Final = (
    Parameter("cursor", "Of the page that was got before: where this one begins."),
    _whole("limit", "How many attempts.", PAGE_DEFAULT, PAGE_MAX),
)

ACCOUNT_OVERVIEW: Final = get(
    "show_account_usage",
    f"{_ACCOUNT}/overview",
    Access.USAGE_READ,
    "Show what an account used in a span of time: sums, a series, and the span before.",
    UsageOverview,
    *_FILTERS,
    *_SPAN,
)
ACCOUNT_BREAKDOWN: Final = get(
    "break_down_account_usage",
    f"{_ACCOUNT}/breakdown",
    Access.USAGE_READ,
    "Show who or what used most in an account.",
    UsageBreakdown,
    choice("by", "What to break down by.", *ACCOUNT_DIMENSIONS),
    _TOP,
    _ORDER,
    *_FILTERS,
    *_SPAN,
)
ACCOUNT_ATTEMPTS: Final = get(
    "list_account_attempts",
    f"{_ACCOUNT}/attempts",
    Access.USAGE_READ,
    "List an account's attempts, the newest first.",
    UsageAttempts,
    *_FILTERS,
    _JOB,
    *_SPAN,
    *_PAGE,
)
ACCOUNT_REQUEST: Final = get(
    "show_account_request",
    f"{_ACCOUNT}/requests/{{job}}",
    Access.USAGE_READ,
    "Show one request of an account, and what it was charged.",
    UsageRequest,
)
ACCOUNT_EXPORT: Final = Operation(
    id="export_account_usage",
    method="GET",
    path=f"{_ACCOUNT}/export",
    access=Access.USAGE_READ,
    summary="Write what is kept of each attempt of an account to a file, money in nano-USD.",
    media="text/csv",
    query=(
        choice("format", "Of the file; parquet is answered as application/vnd.apache.parquet.", "csv", "parquet"),
        *_FILTERS,
        *_SPAN,
    ),
    long=True,
)
OVERVIEW: Final = get(
    "show_site_usage",
    "/usage/overview",
    Access.OPERATOR,
    "Show what all accounts used in a span of time: sums, a series, and the span before.",
    UsageOverview,
    *SITE_FILTERS,
    *_SPAN,
)
BREAKDOWN: Final = get(
    "break_down_site_usage",
    "/usage/breakdown",
    Access.OPERATOR,
    "Show who or what used most.",
    UsageBreakdown,
    choice("by", "What to break down by.", *Dimension),
    _TOP,
    _SITE_ORDER,
    *SITE_FILTERS,
    *_SPAN,
)
ATTEMPTS: Final = get(
    "list_attempts",
    "/usage/attempts",
    Access.OPERATOR,
    "List the attempts of all accounts, the newest first.",
    UsageAttempts,
    *SITE_FILTERS,
    _JOB,
    *_SPAN,
    *_PAGE,
)
REQUEST: Final = get(
    "show_request",
    "/usage/requests/{job}",
    Access.OPERATOR,
    "Show one request with all its attempts, what it was charged and what it cost.",
    UsageRequest,
)

OPERATIONS: Final = (
    ACCOUNT_OVERVIEW,
    ACCOUNT_BREAKDOWN,
    ACCOUNT_ATTEMPTS,
    ACCOUNT_REQUEST,
    ACCOUNT_EXPORT,
    OVERVIEW,
    BREAKDOWN,
    ATTEMPTS,
    REQUEST,
)
