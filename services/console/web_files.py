"""The web page: its files, read once when the console starts, and served with what keeps a browser from doing more.

Everything but the page itself stands under a hash of all files: browsers keep it for good, and a new version is a new
address. There is no build: the browser gets the files as they are, gzipped, with the texts of a language joined.
"""

import dataclasses
import gzip
import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiohttp import web

from services.console.http import public

FOLDER: Final = Path(__file__).parent / "web"

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: nothing but the console's own files, and images that the reader has put in."""

HEADERS: Final = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

FOR_GOOD: Final = "public, max-age=31536000, immutable"

HASH_CHARS: Final = 16
"""64 bits: two versions of a page never meet by chance."""

TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served, by the end of a file's name; licences stay where they are."""

NOTES: Final = "README.md"
"""For whoever works on the files: not served, as licences are not."""

PAGE: Final = "index.html"
START: Final = "main.js"

_WORDS: Final = re.compile(r"words/([a-z]+)/[a-z-]+\.json")
_IMPORT: Final = re.compile(r'^(?:import|export|\}).*?from "(\.{1,2}/[^"]+)";', re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class WebFile:
    """A file as it is sent.

    Attributes:
        type: of its content.
        body: as it is.
        packed: the same, gzipped.
        tag: names this content, for `If-None-Match`.
    """

    type: str
    body: bytes
    packed: bytes
    tag: str


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return the files that are served, by their path within the folder; texts joined to ``words/<language>.json``.

    Raises:
        ValueError: two files have words of the same key.
        OSError: a file cannot be read.
    """
    files: dict[str, bytes] = {}
    words: dict[str, dict[str, object]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if found := _WORDS.fullmatch(name):
            of_language = words.setdefault(found[1], {})
            area = json.loads(path.read_bytes())
            if twice := of_language.keys() & area.keys():
                raise ValueError(f"{name} has words that another file has, too: {', '.join(sorted(twice))}")
            of_language |= area
        elif path.suffix in TYPES and path.name != NOTES:
            files[name] = path.read_bytes()
    for language, joined in words.items():
        files[f"words/{language}.json"] = json.dumps(joined, ensure_ascii=False, separators=(",", ":")).encode()
    return files


def static_imports(files: Mapping[str, bytes], start: str) -> list[str]:
    """Return the modules that one needs before it runs, itself first, each once.

    Args:
        files: by path.
        start: path of the module.
    """
    found = [start]
    for name in found:
        for target in _IMPORT.findall(files[name].decode()):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            if path in files and path not in found:
                found.append(path)
    return found


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=9, mtime=0)


def _file(name: str, body: bytes) -> WebFile:
    tag = hashlib.sha256(body).hexdigest()[:HASH_CHARS]
    return WebFile(TYPES[posixpath.splitext(name)[1]], body, _packed(body), tag)


class WebFiles:
    """Handlers of ``/`` and ``/assets/…``.

    Args:
        folder: where the files are.

    Raises:
        ValueError, OSError: see `read_folder`.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        files = read_folder(folder)
        digest = hashlib.sha256()
        for name, body in sorted(files.items()):
            digest.update(f"{name}\0{len(body)}\0".encode() + body)
        self.hash = digest.hexdigest()[:HASH_CHARS]
        page = files.pop(PAGE).decode()
        # A browser would find out about these one after the other, each with a round trip.
        links = "\n    ".join(
            f'<link rel="modulepreload" href="assets/{{hash}}/{name}">' for name in static_imports(files, START)
        )
        page = page.replace("<!-- modules -->", links).replace("{hash}", self.hash)
        self.page = _file(PAGE, page.encode())
        self.assets = {name: _file(name, body) for name, body in files.items()}

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/", self._page), web.get("/assets/{hash}/{path:.+}", self._asset)]

    @public
    async def _page(self, request: web.Request) -> web.Response:
        return _answer(request, self.page, "no-cache")

    @public
    async def _asset(self, request: web.Request) -> web.Response:
        file = self.assets.get(request.match_info["path"])
        # Another version's address never gets this one's content: a page of both would break in ways nobody explains.
        if file is None or request.match_info["hash"] != self.hash:
            raise web.HTTPNotFound
        return _answer(request, file, FOR_GOOD)


def _answer(request: web.Request, file: WebFile, cached: str) -> web.Response:
    takes_gzip = "gzip" in request.headers.get("accept-encoding", "")
    tag = f'"{file.tag}{"-gzip" if takes_gzip else ""}"'
    headers = {**HEADERS, "cache-control": cached, "etag": tag, "vary": "accept-encoding"}
    if tag in request.headers.get("if-none-match", ""):
        return web.Response(status=304, headers=headers)
    headers["content-type"] = file.type
    if takes_gzip:
        headers["content-encoding"] = "gzip"
    return web.Response(body=file.packed if takes_gzip else file.body, headers=headers)
