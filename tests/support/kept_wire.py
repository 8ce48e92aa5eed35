"""A client's connection that keeps what was written to it."""


class KeptWire:
    """See `runtime.http_exchange.Wire`.

    Attributes:
        slow: whether it says that it cannot take more at the moment.
        sent: what was written, write by write.
        ended: how often an exchange on it was ended.
    """

    draining = False

    def __init__(self) -> None:
        self.slow = False
        self.sent: list[bytes] = []
        self.ended = 0

    def write(self, wire: bytes) -> bool:
        self.sent.append(wire)
        return self.slow

    def date_line(self) -> bytes:
        return b""

    def answer_begun(self) -> None: ...

    def exchange_ended(self, *, keep_alive: bool) -> None:
        self.ended += 1

    def cut(self) -> None:
        self.ended += 1
