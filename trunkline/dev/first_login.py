"""The link by which whoever runs a stack becomes its first operator. Called by `dev.stack`."""

import msgspec

from trunkline.dev.http_call import CallError, call
from trunkline.policy.admin_api import PREFIX
from trunkline.policy.admin_identity import LoginLink
from trunkline.policy.operations.identity import FIRST_OPERATOR_LINK


async def first_login(console_url: str, admin_key: str) -> str:
    """Return the link, or nothing if there is an operator already or the console does not say.

    A stack that runs is worth more than one that ends because its page has nobody to sign in.
    """
    try:
        answer = await call("POST", f"{console_url}{PREFIX}{FIRST_OPERATOR_LINK.path}", bearer=admin_key)
    except CallError:
        return ""
    if answer.status != FIRST_OPERATOR_LINK.status:
        return ""
    url = msgspec.json.decode(answer.body, type=LoginLink).url
    return f"{console_url}/{url}" if url.startswith("#") else url
