"""Network namespaces: made, entered, and removed, also those that a test which was killed has left behind.

Their names say which process made them, so a later run can tell that nobody needs them any more. Needs root.
"""

# ruff: noqa: S603 - the program `ip`, run and waited for from synchronous fixtures

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import struct
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PREFIX = "trunkline-test"
FOLDER = Path("/run/netns")
"""Where `ip netns` keeps them."""

DEVICE = "wire0"
MTU_BYTES = 9000
"""Each packet costs the switch the same, whatever its size."""

QUEUE_PACKETS = 5000
"""That a host may send while the switch is busy elsewhere."""

TUN_PATH = Path("/dev/net/tun")
CLONE_NEWNET = 0x40000000
"""From linux/sched.h."""
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x0001 | 0x1000
"""From linux/if_tun.h: IP packets without a header of the driver's own. Checksums are the hosts' work."""

_libc = ctypes.CDLL(None, use_errno=True)


@cache
def why_unavailable() -> str:
    """Return why this machine has no networks of ours, as a reason to skip a test; empty if it has."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need the program ip (on Debian the package iproute2)"
    if not TUN_PATH.exists():
        return f"{TUN_PATH} is missing"
    name = new_prefix() + "trial"
    try:
        make([name])
        with entered(name):
            os.close(open_device("10.0.0.1/24"))
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces cannot be made here: {getattr(error, 'stderr', b'') or error!r}"
    finally:
        remove(name)
    return ""


def new_prefix() -> str:
    """Return the beginning of namespaces' names that are this process's own."""
    return f"{PREFIX}-{os.getpid()}-{_started(os.getpid())}-{os.urandom(2).hex()}-"


def make(names: list[str]) -> None:
    """Make namespaces, each with a loopback that works."""
    _ip([f"netns add {name}" for name in names])
    for name in names:
        _ip(["link set lo up"], name)


def remove(name: str) -> None:
    """End what runs in a namespace and remove it; harmless if there is none."""
    if not (FOLDER / name).exists():
        return
    found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, check=False)  # noqa: S607
    for pid in found.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)  # noqa: S607


def remove_abandoned() -> None:
    """Remove the namespaces of owners that are gone."""
    for path in FOLDER.glob(f"{PREFIX}-*"):
        if is_abandoned(path.name):
            remove(path.name)


def is_abandoned(name: str) -> bool:
    """Return whether a name begins with the prefix of an owner that is gone."""
    pid, started = name.removeprefix(f"{PREFIX}-").split("-")[:2]
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    """Return when a process began, in ticks since boot; with its id that names it for ever. Empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


@contextlib.contextmanager
def entered(name: str) -> Iterator[None]:
    """Have this thread in a namespace for the length of the block: sockets and processes it makes stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(FOLDER / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _set_namespace(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _set_namespace(home)
    finally:
        os.close(home)


def open_device(address: str) -> int:
    """Make a TUN device in the namespace that was entered; returns its descriptor.

    Args:
        address: of the host, with the length of its network's prefix.
    """
    descriptor = os.open(TUN_PATH, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN_NO_PI))
        _ip(
            [
                f"address add {address} dev {DEVICE}",
                f"link set {DEVICE} mtu {MTU_BYTES} txqueuelen {QUEUE_PACKETS} up",
            ]
        )
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _set_namespace(descriptor: int) -> None:
    # os.setns is newer than the oldest Python that we support.
    if _libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(commands: list[str], namespace: str = "") -> None:
    inside = ["-n", namespace] if namespace else []
    subprocess.run(
        ["ip", *inside, "-batch", "-"],  # noqa: S607
        input="\n".join(commands).encode(),
        capture_output=True,
        check=True,
    )
