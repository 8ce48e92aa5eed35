"""TCP ports of the loopback for the parts of a development stack."""

import errno
import random
import socket

LOOPBACK = "127.0.0.1"
LOOPBACK_NETWORKS = "127.0.0.0/8,::1/128"

RANGE = range(20_000, 32_000)
"""Free ports are picked below the range that Linux gives to outgoing connections (32768 and up), so that none of
those can take a port between the moment it is picked and the moment its process binds it."""

TRIES_MAX = 200


class NoFreePortError(Exception):
    """Nothing in `RANGE` was free."""


def free(port: int, host: str = LOOPBACK) -> bool:
    """Return whether ``port`` can be bound."""
    return bind_fault(port, host) is None


def bind_fault(port: int, host: str = LOOPBACK) -> str | None:
    """Return why ``port`` cannot be bound, or None."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: a port whose last connections are still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return "it is in use" if error.errno == errno.EADDRINUSE else (error.strerror or type(error).__name__)
        return None


class PortPicker:
    """Gives each part its port, and none twice: neither itself nor any other picker of this machine.

    A port that was given is held, by a socket that is bound to it and never listens, until this process ends. Linux
    lets a server with SO_REUSEADDR, as all of ours are, listen beside such a socket, while no other picker gets it.
    """

    def __init__(self) -> None:
        self._given: set[int] = set()
        self._random = random.SystemRandom()

    def take(self, port: int) -> int:
        """Note that ``port`` is given; returns it."""
        self._given.add(port)
        return port

    def pick(self, wanted: int | None = None) -> int:
        """Return ``wanted`` if it is free, else some free port.

        Raises:
            NoFreePortError: see there.
        """
        if wanted is not None and wanted <= 65535 and wanted not in self._given and free(wanted):
            return self.take(wanted)
        for _ in range(TRIES_MAX):
            port = self._random.choice(RANGE)
            if port not in self._given and _hold(port):
                return self.take(port)
        raise NoFreePortError(f"no free port was found in {RANGE.start} to {RANGE.stop - 1}")


def _hold(port: int) -> bool:
    """Bind ``port`` until this process ends, unless anybody has it, be it to hold it."""
    with socket.socket() as holder:
        try:
            holder.bind((LOOPBACK, port))
        except OSError:
            return False
        # Only now: before, it would let this socket in beside another that holds the port.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.detach()
        return True
