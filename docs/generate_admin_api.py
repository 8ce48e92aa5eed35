"""The parts of the docs that are made of the admin API's operations: the OpenAPI document, and a page for people."""

import json
import re
from typing import Final

from docs.generate_client import client_text
from trunkline.policy.access import ROLES, Access, Role
from trunkline.policy.operations import ALL, PARTS
from trunkline.policy.operations.openapi import document
from trunkline.policy.operations.operation import Operation
from trunkline.policy.operations.schemas import structs

INTRODUCTION = """\
# The admin API

Everything that the console's page and the command line do goes through one API, under `/admin/v1` at the console.
What it can do is one table of data (`trunkline/policy/operations`); this page, the OpenAPI document and the command
line's client are made of it.

## Calling it

With the admin key, which may do everything that operators may:

```
curl -H "authorization: Bearer $TRUNKLINE_ADMIN_KEY" http://127.0.0.1:8081/admin/v1/accounts
```

The page calls it with the session of a login: a cookie and, for what changes something, the session's token in the
header `x-csrf-token`. Only the page's own site may do that. Programs take the admin key.

Bodies and answers are JSON. In requests money is USD, in answers nano-USD (a thousand-millionth) unless the name says
`usd`. A `PATCH` leaves what it does not name as it is; a `PUT` replaces the whole. Names in paths are percent-encoded.
An error has always the same form: `{"error": {"type": …, "message": …, "faults": […]}}`, where the message says what
to do, and `faults` has everything that is wrong with a body. Whoever is not signed in gets 401, and whoever may not,
403; an account that the caller is no user of is answered like one that is not there: 404.

Every change is written to the audit log before it is made, with what was there before and what came of it. Long work
answers piece by piece: a line of JSON each (`application/x-ndjson`), the last of which says that all is done, or why
not; an empty line means that it goes on.

## OpenAPI

The console shows the document (OpenAPI 3.1) at `/admin/v1/openapi.json`, to anybody; the same is in
[docs/openapi.json](../openapi.json). `x-access` of each operation says what it needs of its caller.

## Access

What an operation needs is one of these. All but the first three are about the account that its path names, and are a
matter of the caller's role there. *own* means that only what belongs to the caller's own user is to be seen and
changed; all else is answered with 404. Operators, and the admin key, may do everything but what is of a login.

- `public`: nothing.
- `signed_in`: a login; it answers of that login alone. The admin key is nobody's, and is refused.
- `operator`: to be an operator of the site, or to have the admin key.

"""

OF_ACCOUNTS: Final = [access for access in Access if any(access in ROLES[role] for role in Role)]

BY_PART: Final = {part.__name__.rpartition(".")[2]: part.OPERATIONS for part in PARTS}


def admin_api_page() -> str:
    """Return docs/operating/admin-api.md."""
    lines = [INTRODUCTION, f"| access | {' | '.join(Role)} |\n| --- |{' --- |' * len(Role)}\n"]
    lines.extend(f"| `{access}` | {' | '.join(_reach(access, role) for role in Role)} |\n" for access in OF_ACCOUNTS)
    lines.append("\n## Operations\n")
    for tag in document(PARTS)["tags"]:
        lines.append(f"\n### {tag['name'].replace('_', ' ').capitalize()}\n\n{tag['description']}\n\n")
        lines.append("| operation | | access | |\n| --- | --- | --- | --- |\n")
        lines.extend(map(_row, BY_PART[tag["name"]]))
    return "".join(lines)


def _reach(access: Access, role: Role) -> str:
    return ROLES[role].get(access, "")


def _row(operation: Operation) -> str:
    path = re.sub(r":[^}]*\}", "}", operation.path)
    return f"| `{operation.id}` | `{operation.method} {path}` | `{operation.access}` | {operation.summary} |\n"


def openapi_text() -> str:
    """Return docs/openapi.json."""
    return json.dumps(document(PARTS), indent=1, ensure_ascii=False) + "\n"


def cli_client_text() -> str:
    """Return trunkline/cli/client.py."""
    kinds = [kind for operation in ALL for kind in (operation.body, operation.answer)]
    return client_text(document(PARTS), structs(kinds))
