"""Operations that answer with files."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.operations.operation import Operation
from trunkline.policy.operations.parameters import SINCE, UNTIL, choice
from trunkline.policy.operations.usage_explorer import SITE_FILTERS

USAGE: Final = Operation(
    id="export_usage",
    method="GET",
    path="/usage/export",
    access=Access.OPERATOR,
    summary="Write what is kept of each attempt to a file, money in nano-USD.",
    media="text/csv",
    query=(
        choice("format", "Of the file; parquet is answered as application/vnd.apache.parquet.", "csv", "parquet"),
        *SITE_FILTERS,
        SINCE,
        UNTIL,
    ),
    long=True,
)

OPERATIONS: Final = (USAGE,)
