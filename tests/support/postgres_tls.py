"""TLS in front of a Postgres whose wheel was built without: takes SSLRequest, and nothing that does not begin with it.

See PostgreSQL's documentation, "Message Flow", "SSL Session Encryption".
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

from tests.support.authority import Issued

SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
READ_BYTES = 65536


class PostgresTLS:
    """Listens and forwards.

    Args:
        issued: what it presents.
        port: of Postgres.

    Attributes:
        port: where it listens.
        taken, refused: connections with and without TLS.
    """

    def __init__(self, issued: Issued, port: int) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(issued.certificate, issued.key)
        self._behind = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.taken = 0
        self.refused = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            if plain.recv(len(SSL_REQUEST)) != SSL_REQUEST:
                self.refused += 1
                return
            plain.sendall(b"S")
            with (
                self._context.wrap_socket(plain, server_side=True) as encrypted,
                socket.create_connection(("127.0.0.1", self._behind)) as behind,
            ):
                self.taken += 1
                back = threading.Thread(target=_pump, args=(behind, encrypted), daemon=True)
                back.start()
                _pump(encrypted, behind)
                back.join()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(READ_BYTES):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def postgres_tls(issued: Issued, port: int) -> Iterator[PostgresTLS]:
    """Run one for the length of the block."""
    front = PostgresTLS(issued, port)
    try:
        yield front
    finally:
        front.close()
