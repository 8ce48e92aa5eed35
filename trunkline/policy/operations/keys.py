"""Operations on API keys."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_accounts import CreatedKey, KeyChange, KeyView, NewKey, Rotation
from trunkline.policy.operations.operation import Operation, Parameter, get
from trunkline.policy.operations.parameters import LIMIT

_KEYS: Final = "/accounts/{account}/keys"
_KEY: Final = "/accounts/{account}/keys/{key}"

LIST_ALL: Final = get(
    "list_all_keys",
    "/keys",
    Access.OPERATOR,
    "List the keys of all accounts, in the order of accounts' and their own names.",
    list[KeyView],
    Parameter("search", "Only those with this in name, beginning of the secret, account, user, groups or models."),
    Parameter("state", "Only those that are valid, blocked or expired."),
    Parameter("after", "Only those after this one, written as account/key: the page that follows."),
    LIMIT,
)
LIST: Final = get("list_keys", _KEYS, Access.KEYS_READ, "List an account's keys.", list[KeyView])
SHOW: Final = get("show_key", _KEY, Access.KEYS_READ, "Show a key, without its secret.", KeyView)
CREATE: Final = Operation(
    id="create_key",
    method="POST",
    path=_KEYS,
    access=Access.KEYS_WRITE,
    summary="Make a key; its secret is in the answer, this once.",
    body=NewKey,
    answer=CreatedKey,
    status=201,
)
CHANGE: Final = Operation(
    id="change_key",
    method="PATCH",
    path=_KEY,
    access=Access.KEYS_WRITE,
    summary="Change what is given of a key; everything else stays.",
    body=KeyChange,
    answer=KeyView,
    shows="show_key",
)
DELETE: Final = Operation(
    id="delete_key",
    method="DELETE",
    path=_KEY,
    access=Access.KEYS_WRITE,
    summary="Delete a key for good; not below who has blocked it.",
    status=204,
    shows="show_key",
)
BLOCK: Final = Operation(
    id="block_key",
    method="POST",
    path=f"{_KEY}/block",
    access=Access.KEYS_WRITE,
    summary="Refuse a key until it is unblocked.",
    answer=KeyView,
    shows="show_key",
)
UNBLOCK: Final = Operation(
    id="unblock_key",
    method="POST",
    path=f"{_KEY}/unblock",
    access=Access.KEYS_WRITE,
    summary="Accept a blocked key again; whoever stands below who has set the block may not.",
    answer=KeyView,
    shows="show_key",
)
ROTATE: Final = Operation(
    id="rotate_key",
    method="POST",
    path=f"{_KEY}/rotate",
    access=Access.KEYS_WRITE,
    summary="Give a key a new secret; it is in the answer, this once.",
    body=Rotation,
    body_optional=True,
    answer=CreatedKey,
    shows="show_key",
)

OPERATIONS: Final = (LIST_ALL, LIST, SHOW, CREATE, CHANGE, DELETE, BLOCK, UNBLOCK, ROTATE)
