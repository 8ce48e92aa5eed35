"""A web server with pictures, good and bad, for tests of what clients name by URL. Runs in threads of its own.

The path says how it behaves, see `PictureServer`. Everything it was asked is kept.
"""

import base64
import gzip
import select
import ssl
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from trunkline.core import limits

POLL_S = 0.02
PIECE = bytes(64 * 1024)


def png(mark: bytes = b"") -> bytes:
    """Return a picture of one pixel; ``mark`` is a comment in it, so that its bytes can be told from others'."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    header = struct.pack("!IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    comment = chunk(b"tEXt", b"Comment\0" + mark) if mark else b""
    pixel = chunk(b"IDAT", zlib.compress(b"\x00\xff\x00\x00"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + comment + pixel + chunk(b"IEND", b"")


def base64_of(data: bytes) -> str:
    """Return base64 as it stands in requests."""
    return base64.b64encode(data).decode()


JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(64)
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n"


class Asked(NamedTuple):
    """A request that came."""

    path: str
    headers: dict[str, str]


class PictureServer:
    """What is known from outside.

    | path | answer |
    | --- | --- |
    | ``/picture.png`` | `PictureServer.picture` |
    | ``/photo.png`` | a JPEG that is called a text |
    | ``/document.pdf`` | a PDF |
    | ``/lies.png`` | a page that is called a picture |
    | ``/gzip.png`` | a picture of gigabytes, packed to little |
    | ``/endless.png`` | a picture that never ends |
    | ``/huge.png`` | a picture that says itself how large it is |
    | ``/trickle.png`` | a picture in chunks of two bytes |
    | ``/cut.png`` | half of a picture |
    | ``/silent.png`` | nothing |
    | ``/to?…`` | a redirect to ``url`` |
    | ``/again/N`` | a redirect to ``/again/N-1``; the last one to the picture |

    Anything else is not found.

    Attributes:
        picture: the good one.
        port: where it listens, on the loopback.
        asked: the requests so far.
        over: set when the server ends.
        gone: set when somebody has left before an endless or silent answer was over.
    """

    def __init__(self, picture: bytes) -> None:
        self.picture = picture
        self.port = 0
        self.asked: list[Asked] = []
        self.over = Event()
        self.gone = Event()

    @property
    def paths(self) -> list[str]:
        """What was asked for."""
        return [asked.path for asked in self.asked]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Return a URL of it."""
        return f"http://{host}:{self.port}{path}"


@contextmanager
def picture_server(picture: bytes = b"", *, tls: ssl.SSLContext | None = None) -> Iterator[PictureServer]:
    """Run one for the length of the block."""
    known = PictureServer(picture or png())
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *arguments: _Handler(known, *arguments))
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    known.port = server.server_port
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield known
    finally:
        known.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, server: PictureServer, *arguments: Any) -> None:
        self._known = server
        super().__init__(*arguments)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing on standard error."""

    def do_GET(self) -> None:
        """Answer."""
        known = self._known
        known.asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}))
        path = urlsplit(self.path).path
        plain = {
            "/picture.png": ("image/png", known.picture),
            "/photo.png": ("text/plain", JPEG),
            "/document.pdf": ("application/octet-stream", PDF),
            "/lies.png": ("image/png", b"<html><body>secret page of the intranet</body></html>"),
        }
        special: dict[str, Callable[[], None]] = {
            "/gzip.png": self._gzip,
            "/endless.png": self._endless,
            "/huge.png": self._huge,
            "/trickle.png": self._trickle,
            "/cut.png": self._cut,
            "/silent.png": self._wait_and_close,
            "/to": lambda: self._redirect(parse_qs(urlsplit(self.path).query)["url"][0]),
        }
        if path in plain:
            self._send(200, {"content-type": plain[path][0]}, plain[path][1])
        elif path in special:
            special[path]()
        elif path.startswith("/again/"):
            left = int(path.removeprefix("/again/"))
            self._redirect(f"/again/{left - 1}" if left > 1 else "/picture.png")
        else:
            self._send(404, {}, b"not here")

    def _send(self, status: int, headers: dict[str, str], body: bytes, *, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def _redirect(self, url: str) -> None:
        self._send(302, {"location": url, "set-cookie": "tracked=1"}, b"it is elsewhere")

    def _gzip(self) -> None:
        packed = gzip.compress(self._known.picture + bytes(64 * 1024 * 1024))
        self._send(200, {"content-type": "image/png", "content-encoding": "gzip"}, packed)

    def _huge(self) -> None:
        self._send(200, {"content-type": "image/png"}, self._known.picture, length=limits.FETCH_BYTES_MAX + 1)
        self._wait_and_close()

    def _cut(self) -> None:
        self._send(200, {"content-type": "image/png"}, self._known.picture[:40], length=len(self._known.picture))
        self.close_connection = True

    def _wait_and_close(self) -> None:
        """Say nothing more until the other side leaves, or the server ends."""
        while not self._known.over.is_set():
            readable, _, _ = select.select([self.connection], [], [], POLL_S)
            if readable:
                self._known.gone.set()
                break
        self.close_connection = True

    def _endless(self) -> None:
        self._chunks(PIECE)

    def _trickle(self) -> None:
        self._chunks(b"\0\0", at_once=4096)

    def _chunks(self, piece: bytes, *, at_once: int = 1) -> None:
        """Send a picture that goes on and on, until nobody listens."""
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(self._known.picture), self._known.picture))
            while not self._known.over.is_set():
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) * at_once)
        except OSError:
            self._known.gone.set()
        self.close_connection = True
