"""Which servers of NATS there are, and in what order a client tries them. Called by `runtime.nats_link`."""

import random
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from trunkline.bus.nats_wire import ConnectOptions, ServerInfo

DEFAULT_PORT = 4222


class Server(NamedTuple):
    """Where a server is and how to sign in there.

    Attributes:
        certified_as: name in its certificate, where it is known by its address only; empty for ``host``.
    """

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None
    certified_as: str = ""

    @property
    def place(self) -> str:
        """Where it is, for logs."""
        return f"{self.host}:{self.port}"


def parse_servers(urls: str) -> list[Server]:
    """Read one or more ``nats://user:password@host:port``, separated by commas; ``tls://`` demands TLS.

    Raises:
        ValueError: not such a URL.
    """
    servers = []
    for url in urls.split(","):
        parts = urlsplit(url.strip())
        if parts.scheme not in {"nats", "tls"} or not parts.hostname:
            raise ValueError("NATS is given as nats://host:port")
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        servers.append(Server(parts.hostname, parts.port or DEFAULT_PORT, parts.scheme == "tls", user, password))
    return servers


def signing_in(name: str, server: Server) -> ConnectOptions:
    """Return what a client of that name says in CONNECT."""
    if server.user is None:
        return ConnectOptions(name)
    if server.password is None:
        return ConnectOptions(name, auth_token=server.user)
    return ConnectOptions(name, user=server.user, password=server.password)


class ServerRound:
    """The servers that a client knows.

    It tries them in an order of its own, each time another one: so the clients of a cluster spread over its nodes, and
    those of a node that is gone over the others.

    Args:
        servers: those of its settings.
        name: of the client, from which the order is drawn. Names of processes differ from start to start.
    """

    def __init__(self, servers: list[Server], name: str) -> None:
        self._servers = list(servers)
        self._draw = random.Random(name)  # noqa: S311 - spreads load; nothing secret

    def order(self, last: Server | None) -> list[Server]:
        """Return all servers, that of the ``last`` connection behind the others."""
        self._draw.shuffle(self._servers)
        return sorted(self._servers, key=lambda server: server == last)

    def learn(self, info: ServerInfo, known: Server) -> None:
        """Take the other servers of the cluster into the round, with the same way to sign in."""
        places = {(server.host, server.port) for server in self._servers}
        certified_as = known.certified_as or known.host
        for url in info.connect_urls:
            host, _, port = url.rpartition(":")
            host = host.strip("[]")
            if port.isdigit() and (host, int(port)) not in places:
                name = certified_as if _is_address(host) else ""
                self._servers.append(known._replace(host=host, port=int(port), certified_as=name))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
