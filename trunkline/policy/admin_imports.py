"""What the admin API and its clients say to each other of imports from other gateways (`policy.imports`)."""

from typing import Any

import msgspec

from trunkline.policy.changes import Change
from trunkline.policy.imports.new_api import Part
from trunkline.policy.imports.remarks import Remark


class ImportRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file of another gateway.

    Attributes:
        text: all of it.
        include: what is to be taken of New API's.
    """

    text: str
    include: tuple[Part, ...] = (Part.CHANNELS,)


class ImportPreview(msgspec.Struct, frozen=True):
    """What a file would be here. It may hold secrets: those of the file, and new ones of keys.

    Attributes:
        configuration: as `apply_configuration` takes it, but for the secrets that are in variables.
        yaml: the same, as `trunkline apply` takes it.
        remarks: what became of each part of the file.
        variables: environment variables that hold its further secrets.
        changes: what applying it would change; a secret in a variable counts as a new one.
        faults: what is to be put right before it can be applied; there are no changes then.
    """

    configuration: dict[str, Any]
    yaml: str
    remarks: tuple[Remark, ...]
    variables: tuple[str, ...]
    changes: tuple[Change, ...]
    faults: tuple[str, ...]
