"""Operations that ask a channel's provider on the spot."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_probes import ChannelTest, ChannelTested, DiscoveredModels
from trunkline.policy.operations.operation import Operation, Parameter, get

TEST: Final = Operation(
    id="test_channel",
    method="POST",
    path="/channels/{channel}/test",
    access=Access.OPERATOR,
    summary="Ask a channel's provider whether it works, with one credential; with a model this costs a token or so.",
    body=ChannelTest,
    body_optional=True,
    answer=ChannelTested,
    audited=False,
)
DISCOVER: Final = get(
    "discover_models",
    "/channels/{channel}/discovered",
    Access.OPERATOR,
    "List what a channel's provider offers, and what of it the channel serves already.",
    DiscoveredModels,
    Parameter("credential", "Id of the credential to ask with; the channel's first if left out.", {"type": "integer"}),
)

OPERATIONS: Final = (TEST, DISCOVER)
