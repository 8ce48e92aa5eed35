"""How the web page is read and served."""

import gzip
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from services.console.web_files import FOLDER, POLICY, WebFiles, read_folder, static_imports
from trunkline.policy.access import ROLES

FIRST_PAGE_BYTES_MAX = 120 * 1024
PAGE_BYTES_MAX = 200 * 1024

_MODULE = re.compile(r'(?:from|import)\s*\(?"(\.[^"]+)"')
_LOADED = re.compile(r'load(?:Style|Script)\("([^"]+)"\)')


@pytest.fixture(scope="module")
def files() -> WebFiles:
    return WebFiles()


def client(files: WebFiles) -> TestClient[web.Request, web.Application]:
    app = web.Application()
    app.router.add_routes(files.routes())
    return TestClient(TestServer(app), auto_decompress=False)


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_words_of_a_language_are_joined(tmp_path: Path) -> None:
    write(tmp_path, "words/en/one.json", '{"one.a": "A"}')
    write(tmp_path, "words/en/two.json", '{"two.b": "B"}')
    assert read_folder(tmp_path) == {"words/en.json": b'{"one.a":"A","two.b":"B"}'}


def test_a_key_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "words/en/one.json", '{"one.a": "A"}')
    write(tmp_path, "words/en/two.json", '{"one.a": "B"}')
    with pytest.raises(ValueError, match=r"words/en/two.json has words that another file has, too: one\.a"):
        read_folder(tmp_path)


def test_licences_and_notes_are_not_served(files: WebFiles) -> None:
    assert {Path(name).suffix for name in files.assets if name.startswith("vendor/")} == {".css", ".js"}


def test_static_imports_are_followed_once_each() -> None:
    modules = {
        "main.js": b'import { a } from "./core/a.js";\nimport {\n  b,\n} from "./core/b.js";\n',
        "core/a.js": b'export { b } from "./b.js";\nconst later = import("../pages/c.js");\n',
        "core/b.js": b'import { a } from "./a.js";\n',
        "pages/c.js": b"",
    }
    assert static_imports(modules, "main.js") == ["main.js", "core/a.js", "core/b.js"]


def test_every_import_names_a_file(files: WebFiles) -> None:
    for name, file in files.assets.items():
        if name.endswith(".js") and not name.startswith("vendor/"):
            for target in _MODULE.findall(file.body.decode()):
                assert (FOLDER / name).parent.joinpath(target).is_file(), f"{name} imports {target}"


async def test_the_page_is_asked_for_anew_and_says_what_it_may_load(files: WebFiles) -> None:
    async with client(files) as http:
        answer = await http.get("/")
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-cache"
        page = gzip.decompress(await answer.read()).decode()
        assert f'src="assets/{files.hash}/main.js"' in page
        assert "{hash}" not in page
        again = await http.get("/", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status, await again.read()) == (304, b"")


async def test_an_asset_is_kept_for_good_under_the_hash_of_all(files: WebFiles) -> None:
    async with client(files) as http:
        answer = await http.get(f"/assets/{files.hash}/core/html.js", headers={"accept-encoding": "identity"})
        assert answer.status == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert await answer.read() == (FOLDER / "core/html.js").read_bytes()
        packed = await http.get(f"/assets/{files.hash}/core/html.js", headers={"accept-encoding": "gzip, br"})
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(await packed.read()) == (FOLDER / "core/html.js").read_bytes()


@pytest.mark.parametrize(
    "path", ["/assets/0123456789abcdef/main.js", "/assets/{hash}/vendor/README.md", "/assets/{hash}/..%2fapp.py"]
)
async def test_other_versions_and_other_files_are_not_there(files: WebFiles, path: str) -> None:
    async with client(files) as http:
        assert (await http.get(path.format(hash=files.hash))).status == 404


def test_the_hash_changes_with_any_file(tmp_path: Path) -> None:
    write(tmp_path, "index.html", "<!-- modules -->")
    write(tmp_path, "main.js", "")
    before = WebFiles(tmp_path).hash
    write(tmp_path, "styles/base.css", "a{}")
    assert WebFiles(tmp_path).hash != before


def weight(files: WebFiles, names: Iterable[str]) -> int:
    return len(files.page.packed) + sum(len(files.assets[name].packed) for name in names)


def needs(files: WebFiles, start: str) -> set[str]:
    """Return all that a module loads, at once or when it is needed: modules, scripts and style sheets."""
    found = [start]
    for name in found:
        text = files.assets[name].body.decode() if not name.startswith("vendor/") else ""
        asked = {posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) for path in _MODULE.findall(text)}
        found += sorted((asked | set(_LOADED.findall(text))) & files.assets.keys() - set(found))
    return set(found)


def test_every_page_is_light_with_all_that_it_may_ever_load(files: WebFiles) -> None:
    frame = needs(files, "main.js") | {
        name for name in files.assets if re.search(rf"{name}\"", files.page.body.decode())
    }
    pages = [name for name in files.assets if re.fullmatch(r"pages/[a-z]+/[a-z-]+\.js", name)]
    assert len(pages) > 15
    heavy = {page: weight(files, frame | needs(files, page) | {"words/zh.json"}) for page in pages}
    assert {page: found for page, found in heavy.items() if found >= PAGE_BYTES_MAX} == {}


def test_the_page_stays_light(files: WebFiles) -> None:
    first = set(re.findall(rf"assets/{files.hash}/([^\"]+)", files.page.body.decode()))
    first |= {"words/zh.json", "pages/public/landing.js", "styles/landing.css"}
    assert weight(files, first) < FIRST_PAGE_BYTES_MAX


def test_the_page_is_not_wider_than_its_policy(files: WebFiles) -> None:
    page = files.page.body.decode()
    assert not re.search(r"<script(?![^>]*src=)|style=|\son[a-z]+=|https?://", page)


def test_roles_are_those_of_the_server() -> None:
    text = (FOLDER / "core/access.js").read_text()
    reader = dict(re.findall(r'(\w+): "(own|all)"', text.partition("const READER = {")[2].partition("}")[0]))
    admin = reader | dict(re.findall(r'(\w+): "(own|all)"', text.partition("const ADMIN = {")[2].partition("}")[0]))
    member = dict(re.findall(r'(\w+): "(own|all)"', text.partition("member: {")[2].partition("}")[0]))
    owner = admin | dict(re.findall(r'(\w+): "(own|all)"', text.partition("owner: {")[2].partition("}")[0]))
    said = {"viewer": reader, "member": member, "admin": admin, "owner": owner}
    assert said == {
        role.value: {access.value: scope.value for access, scope in may.items()} for role, may in ROLES.items()
    }


def test_every_page_of_the_table_is_there() -> None:
    modules = re.findall(r'page\("[^"]+", "([^"]+)"', (FOLDER / "routes.js").read_text())
    assert len(modules) > 30
    assert [module for module in modules if not (FOLDER / "pages" / f"{module}.js").is_file()] == []
