"""Every role against every access, written out: the table in the code must say the same."""

import pytest

from trunkline.policy.access import ADMIN_KEY, ROLES, Access, Caller, Grant, Place, Refusal, Role, Standing, decide

ALLOWED = {
    # access: how far viewers, members, admins and owners reach
    Access.ACCOUNT_READ: ("all", "all", "all", "all"),
    Access.KEYS_READ: ("all", "own", "all", "all"),
    Access.KEYS_WRITE: (None, "own", "all", "all"),
    Access.USAGE_READ: ("all", "own", "all", "all"),
    Access.PLAY: (None, "own", "all", "all"),
    Access.MONEY_READ: ("all", None, "all", "all"),
    Access.MONEY_WRITE: (None, None, "all", "all"),
    Access.MEMBERS_READ: ("all", None, "all", "all"),
    Access.MEMBERS_WRITE: (None, None, "all", "all"),
    Access.ACCOUNT_WRITE: (None, None, None, "all"),
}
OF_AN_ACCOUNT = [access for access in Access if access not in {Access.PUBLIC, Access.SIGNED_IN, Access.OPERATOR}]


def caller(role: Role | None = None, *, operator: bool = False) -> Caller:
    places = {} if role is None else {"acme": Place(role, "kim")}
    return Caller(name="kim", login=1, operator=operator, places=places)


def test_the_table_names_every_access_of_an_account() -> None:
    assert set(ALLOWED) == set(OF_AN_ACCOUNT)
    assert set(ROLES) == set(Role)


@pytest.mark.parametrize("access", OF_AN_ACCOUNT)
@pytest.mark.parametrize(("number", "role"), list(enumerate(Role)))
def test_a_role_reaches_as_far_as_is_written_here(access: Access, number: int, role: Role) -> None:
    expected = {"all": Grant(), "own": Grant(own_user="kim"), None: Refusal.NOT_ALLOWED}[ALLOWED[access][number]]
    assert decide(caller(role), access, "acme") == expected


@pytest.mark.parametrize("access", OF_AN_ACCOUNT)
def test_an_account_that_is_not_theirs_is_not_there(access: Access) -> None:
    assert decide(caller(Role.OWNER), access, "other") is Refusal.NO_ACCOUNT
    assert decide(caller(), access, "acme") is Refusal.NO_ACCOUNT
    assert decide(None, access, "acme") is Refusal.NOT_SIGNED_IN


@pytest.mark.parametrize("access", list(Access))
def test_operators_and_the_admin_key_may_do_everything_of_the_site(access: Access) -> None:
    assert decide(caller(operator=True), access, "acme") == Grant()
    expected = Refusal.NOT_ALLOWED if access is Access.SIGNED_IN else Grant()
    assert decide(ADMIN_KEY, access, "acme") == expected


@pytest.mark.parametrize("role", list(Role))
def test_no_role_of_an_account_makes_an_operator(role: Role) -> None:
    assert decide(caller(role), Access.OPERATOR, None) is Refusal.NOT_ALLOWED
    assert decide(caller(role), Access.OPERATOR, "acme") is Refusal.NOT_ALLOWED
    assert decide(caller(role), Access.KEYS_READ, None) is Refusal.NOT_ALLOWED


def test_what_is_public_needs_nobody_and_a_profile_needs_a_login() -> None:
    assert decide(None, Access.PUBLIC, None) == Grant()
    assert decide(None, Access.SIGNED_IN, None) is Refusal.NOT_SIGNED_IN
    assert decide(caller(), Access.SIGNED_IN, None) == Grant()


def test_roles_have_an_order_and_operators_stand_above() -> None:
    everybody = [caller(role) for role in (Role.VIEWER, Role.MEMBER, Role.ADMIN, Role.OWNER)]
    everybody.append(caller(operator=True))
    for number, one in enumerate(everybody):
        reached = [one.standing("acme").reaches(other.standing("acme")) for other in everybody]
        assert reached == [other <= number for other in range(len(everybody))]
    assert ADMIN_KEY.standing("other") is Standing.OPERATOR
