"""Operations on configurations of other gateways. What they make is applied as any other configuration."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_imports import ImportPreview, ImportRequest
from trunkline.policy.operations.operation import Operation

PREVIEW: Final = Operation(
    id="preview_import",
    method="POST",
    path="/import/{format}/preview",
    access=Access.OPERATOR,
    summary="Show what a file of another gateway (litellm, new-api) would be here, and change nothing.",
    body=ImportRequest,
    answer=ImportPreview,
    audited=False,
)

OPERATIONS: Final = (PREVIEW,)
