"""A NATS that knows users: the permissions that are shipped, and a password for each user."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.authority import Authority
from tests.support.servers import NATSServer, server_directory
from trunkline.dev.secrets import draw_nats_passwords, nats_environment

SHIPPED = Path(__file__).parents[2] / "deploy" / "nats" / "permissions.conf"


class GuardedNATS(NATSServer):
    """The server; ``url`` is of nobody.

    Args:
        directory: for its data.
        configuration: that includes the shipped permissions; None takes these alone.
        host: by which clients name it.
    """

    def __init__(self, directory: Path, configuration: Path | None = None, *, host: str = "127.0.0.1") -> None:
        super().__init__(directory, configuration or SHIPPED)
        self._host = host
        self.passwords = draw_nats_passwords()
        self.environment |= nats_environment(self.passwords)

    def url_of(self, user: str) -> str:
        """Return where it is for a role or the operator."""
        return f"nats://{user}:{self.passwords[user]}@{self._host}:{self.port}"


def over_tls(directory: Path, authority: Authority) -> Path:
    """Write a configuration that demands certificates of both sides, and return where it is."""
    own = authority.issue("nats")
    (directory / "permissions.conf").write_text(SHIPPED.read_text())
    configuration = directory / "nats.conf"
    configuration.write_text(
        f"""tls {{
  cert_file: "{own.certificate}"
  key_file: "{own.key}"
  ca_file: "{authority.path}"
  verify: true
  min_version: "1.2"
}}
include permissions.conf
"""
    )
    return configuration


@contextmanager
def guarded_nats() -> Iterator[GuardedNATS]:
    """Run one for the length of the block."""
    with server_directory("nats") as directory:
        server = GuardedNATS(directory)
        server.start()
        try:
            yield server
        finally:
            server.stop()
