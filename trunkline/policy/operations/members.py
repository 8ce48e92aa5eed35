"""Operations on the logins of an account's users."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_accounts import KeyView, UserView
from trunkline.policy.admin_identity import MemberChange, MemberRemoved, NewMember
from trunkline.policy.operations.operation import Operation, get
from trunkline.policy.operations.parameters import WITHDRAW_KEYS

_MEMBERS: Final = "/accounts/{account}/members"
_MEMBER: Final = "/accounts/{account}/members/{user}"

ADD: Final = Operation(
    id="add_member",
    method="POST",
    path=_MEMBERS,
    access=Access.MEMBERS_WRITE,
    summary="Make a login a user of the account.",
    body=NewMember,
    answer=UserView,
    status=201,
)
CHANGE: Final = Operation(
    id="change_member",
    method="PATCH",
    path=_MEMBER,
    access=Access.MEMBERS_WRITE,
    summary="Give a user's login another role.",
    body=MemberChange,
    answer=UserView,
    shows="show_user",
)
REMOVE: Final = Operation(
    id="remove_member",
    method="DELETE",
    path=_MEMBER,
    access=Access.MEMBERS_WRITE,
    summary="Take a user's login out of the account; the user stays, its keys are blocked.",
    answer=MemberRemoved,
    query=(WITHDRAW_KEYS,),
    shows="show_user",
)
LIST_KEYS: Final = get(
    "list_member_keys",
    f"{_MEMBER}/keys",
    Access.MEMBERS_READ,
    "List the account's keys of a login: those of its user, and those whose secret it was shown.",
    list[KeyView],
)

OPERATIONS: Final = (ADD, CHANGE, REMOVE, LIST_KEYS)
