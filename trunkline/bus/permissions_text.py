"""The table of `bus.permissions` as NATS reads it: the block ``authorization`` of its configuration. Pure.

``make docs`` writes it to deploy/nats/permissions.conf, which the configurations there include; `trunkline.dev` writes
it for the embedded server. Passwords are taken from the server's environment. NATS reads a variable's value as it
reads the file, so a password is letters and digits and begins with a letter.
"""

from collections.abc import Iterable

from trunkline.bus.permissions import OPERATOR, PERMISSIONS, Permissions, password_variable


def authorization_text() -> str:
    """Return the block: a user for each role with what it may do, and the operator, who may do everything."""
    users = "".join(_user(role, permissions) for role, permissions in PERMISSIONS.items())
    return f"authorization {{\n  users: [\n{users}{_user(OPERATOR, None)}  ]\n}}\n"


def _user(name: str, permissions: Permissions | None) -> str:
    lines = [f"user: {name}", f"password: ${password_variable(name)}"]
    if permissions is not None:
        lines += ["permissions: {", *_allowed("publish", permissions.publish)]
        lines += [*_allowed("subscribe", permissions.subscribe), "}"]
    return "    {\n" + "".join(f"      {line}\n" for line in lines) + "    }\n"


def _allowed(operation: str, patterns: Iterable[str]) -> Iterable[str]:
    yield f"  {operation}: {{ allow: ["
    yield from (f'    "{pattern}"' for pattern in patterns)
    yield "  ] }"
