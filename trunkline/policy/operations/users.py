"""Operations on users."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_accounts import NewUser, UserChange, UserView
from trunkline.policy.operations.operation import Operation, get

_USERS: Final = "/accounts/{account}/users"
_USER: Final = "/accounts/{account}/users/{user}"

LIST_ALL: Final = get("list_all_users", "/users", Access.OPERATOR, "List the users of all accounts.", list[UserView])
LIST: Final = get("list_users", _USERS, Access.MEMBERS_READ, "List an account's users.", list[UserView])
SHOW: Final = get("show_user", _USER, Access.MEMBERS_READ, "Show a user.", UserView)
CREATE: Final = Operation(
    id="create_user",
    method="POST",
    path=_USERS,
    access=Access.MEMBERS_WRITE,
    summary="Make a user.",
    body=NewUser,
    answer=UserView,
    status=201,
)
RENAME: Final = Operation(
    id="rename_user",
    method="PATCH",
    path=_USER,
    access=Access.MEMBERS_WRITE,
    summary="Give a user another name.",
    body=UserChange,
    answer=UserView,
    shows="show_user",
)
DELETE: Final = Operation(
    id="delete_user",
    method="DELETE",
    path=_USER,
    access=Access.MEMBERS_WRITE,
    summary="Delete a user who has no keys.",
    status=204,
    shows="show_user",
)

OPERATIONS: Final = (LIST_ALL, LIST, SHOW, CREATE, RENAME, DELETE)
