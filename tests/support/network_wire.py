"""The process that carries packets: ``python -m tests.support.network_wire``, started by `network` for each network.

Its first line of input names the hosts' TUN devices as inherited file descriptors; each further one sets trouble on
wires. Each is answered with the wires' counts, once it holds. The end of the input is the end of the process.
"""

import os
import selectors

import msgspec

from tests.support.network_switch import Switch, Trouble
from trunkline.runtime.clock import SystemClock

PACKET_BYTES_MAX = 65_536
PACKETS_AT_ONCE = 64
"""From one host before the others have their turn."""


class Plug(msgspec.Struct, frozen=True):
    """A host: its address, four bytes, and the descriptor of its TUN device."""

    address: bytes
    descriptor: int


class Setup(msgspec.Struct, frozen=True):
    """The first line."""

    plugs: list[Plug]
    seed: int


class Setting(msgspec.Struct, frozen=True):
    """Trouble on one wire; hosts by their index."""

    source: int
    target: int
    trouble: Trouble


class Answer(msgspec.Struct, frozen=True):
    """Counts, as from `Switch.counts`."""

    counts: list[tuple[int, int, int, int]]


class _Carrier:
    def __init__(self, setup: Setup) -> None:
        self._descriptors = [plug.descriptor for plug in setup.plugs]
        self._switch = Switch([plug.address for plug in setup.plugs], setup.seed)
        self._now = SystemClock().now

    def run(self, commands: int, answers: int) -> None:
        """Carry until ``commands`` ends; both are file descriptors."""
        selector = selectors.DefaultSelector()
        selector.register(commands, selectors.EVENT_READ, None)
        for index, descriptor in enumerate(self._descriptors):
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ, index)
        pending = b""
        while True:
            due_s = self._switch.next_due_s()
            ready = selector.select(None if due_s is None else max(0.0, due_s - self._now()))
            for target, packet in self._switch.due(self._now()):
                self._send(target, packet)
            for key, _ in ready:
                if key.data is not None:
                    self._carry(key.data, key.fd)
                    continue
                read = os.read(commands, PACKET_BYTES_MAX)
                if not read:
                    return
                *lines, pending = (pending + read).split(b"\n")
                for line in lines:
                    self._obey(line)
                    os.write(answers, msgspec.json.encode(Answer(self._switch.counts())) + b"\n")

    def _carry(self, source: int, descriptor: int) -> None:
        try:
            for _ in range(PACKETS_AT_ONCE):
                packet = os.read(descriptor, PACKET_BYTES_MAX)
                target = self._switch.receive(source, packet, self._now())
                if target is not None:
                    self._send(target, packet)
        except BlockingIOError:
            return

    def _send(self, target: int, packet: bytes) -> None:
        try:
            os.write(self._descriptors[target], packet)
        except OSError:
            return  # a host without room, or that is going: its packet is lost, as on any network

    def _obey(self, line: bytes) -> None:
        for setting in msgspec.json.decode(line, type=list[Setting]):
            self._switch.set(setting.source, setting.target, setting.trouble)


def main() -> None:
    """Carry until our input ends."""
    with open(0, "rb", buffering=0, closefd=False) as commands:  # without a buffer: the next lines are for the carrier
        carrier = _Carrier(msgspec.json.decode(commands.readline(), type=Setup))
    os.write(1, msgspec.json.encode(Answer([])) + b"\n")
    carrier.run(0, 1)


if __name__ == "__main__":
    main()
