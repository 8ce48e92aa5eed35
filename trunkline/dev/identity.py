"""Which user a process runs as, and which folders that user can reach. No permission is ever changed here.

Postgres refuses to be root. When we are root, it runs as `UNPRIVILEGED` on folders of its own.
"""

import dataclasses
import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

UNPRIVILEGED = "nobody"
CHECK_TIMEOUT_S = 10.0


@dataclasses.dataclass(frozen=True)
class Identity:
    """A user; without a name, our own."""

    name: str | None = None

    def popen_arguments(self) -> dict[str, Any]:
        """Return what `subprocess` needs to start a process as this user."""
        if self.name is None:
            return {}
        entry = pwd.getpwnam(self.name)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Make this user the owner of a folder or file of ours."""
        if self.name is not None:
            entry = pwd.getpwnam(self.name)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def or_owner(self, path: Path) -> "Identity":
        """Return the owner of ``path`` where we may become that user and it is not root, else this identity."""
        if self.name is None or not path.exists() or path.stat().st_uid == 0:
            return self
        return Identity(path.owner())

    def runs(self, *command: str | Path) -> bool:
        """Return whether this user can run a command to a good end."""
        try:
            finished = subprocess.run(  # noqa: S603 - commands of this package
                command,
                check=False,
                capture_output=True,
                cwd="/",
                timeout=CHECK_TIMEOUT_S,
                **self.popen_arguments(),
            )
        except (OSError, subprocess.SubprocessError):
            return False
        return finished.returncode == 0

    def reaches(self, folder: Path) -> bool:
        """Return whether this user can enter a folder."""
        return self.name is None or self.runs("/bin/sh", "-c", 'cd -- "$1"', "sh", folder)


OURSELVES = Identity()


def unprivileged() -> Identity:
    """Return our own identity, or `UNPRIVILEGED` when that is root.

    Raises:
        KeyError: we are root and there is no such user.
    """
    if os.geteuid() != 0:
        return OURSELVES
    pwd.getpwnam(UNPRIVILEGED)
    return Identity(UNPRIVILEGED)
