"""The documentation that the console shows to users: its examples run, its links lead somewhere, its languages agree.

A fenced block whose language is followed by ``run`` is run against a stack, each in a folder with a picture, with the
key in the environment as the pages say. The two languages have the same blocks, so each is run once.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.surface import Surface
from trunkline.runtime import config

ROOT = Path(__file__).parents[2]
WEB = ROOT / "services" / "console" / "web"
DOCS = WEB / "docs"
NODE = Path(__file__).parent / "node"
PAGES = sorted(path.stem for path in (DOCS / "en").glob("*.md"))
MODEL, OTHER_MODEL = "demo", "renamed"
RUN_TIMEOUT_S = 60.0

_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(?P<level>#{1,4}) (?P<text>.+?) \{#(?P<id>[a-z][a-z0-9-]*)\}$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]+\]\((?P<to>[^)\s]+)\)")
_PLACEHOLDER = re.compile(r"\{\{[^{}]*\}\}")
_PLACEHOLDERS = {"{{base_url}}", "{{console_url}}", "{{model}}", "{{other_model}}", "{{account}}"}

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
"""A PNG of one pixel."""

SAID = {
    ("limits-and-errors", "python"): ["404 model_not_found", "is not worth a retry: false"],
    ("limits-and-errors", "javascript"): ["404 model_not_found", "is not worth a retry: false"],
    ("fallbacks", "python"): ["demo has answered", "demo has answered:"],
    ("migrate-from-provider", "python"): ["3 of 3 are the same"],
    ("migrate-from-new-api", "bash"): ["x-trunkline-cost-usd: 0."],
    ("billing", "bash"): ['"cost":', '"object":"generation"', '"object":"usage"'],
    ("billing", "python"): ["USD"],
    ("openai", "python"): ["tokens in", "'city': ", "Trunkline"],
}
"""Beside that each block prints something: what the output of a page's blocks must hold."""

_RUN_PYTHON = """
import json, sys
for code in json.load(open(sys.argv[1])):
    print("\\n--- block", flush=True)
    exec(compile(code, "<block>", "exec"), {"__name__": "__main__"})
"""
"""Each block gets a namespace of its own; they share the import of the SDKs, which takes longer than all requests."""


class Block(NamedTuple):
    """A fenced block: its language, the words behind that, and its text."""

    language: str
    marks: frozenset[str]
    code: str


def text_of(language: str, page: str) -> str:
    """Return a page's Markdown."""
    return (DOCS / language / f"{page}.md").read_text()


def blocks_of(text: str) -> list[Block]:
    """Return the fenced blocks of a page."""
    found = []
    for match in _FENCE.finditer(text):
        language, *marks = match["info"].split() or [""]
        found.append(Block(language, frozenset(marks), match["code"]))
    return found


def prose_of(text: str) -> str:
    """Return a page without its fenced blocks and its code in lines, where nothing is a link or a heading."""
    return re.sub(r"`[^`\n]+`", "``", _FENCE.sub("", text))


def headings_of(text: str) -> list[tuple[int, str]]:
    """Return level and name of each heading."""
    return [(len(match["level"]), match["id"]) for match in _HEADING.finditer(_FENCE.sub("", text))]


# --- what is written ---------------------------------------------------------------------------------------------


def test_both_languages_have_the_same_pages() -> None:
    assert len(PAGES) == 13
    assert sorted(path.stem for path in (DOCS / "zh").glob("*.md")) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_headings_and_blocks(page: str) -> None:
    english, chinese = text_of("en", page), text_of("zh", page)
    assert headings_of(english) == headings_of(chinese)
    assert headings_of(english)[0] == (1, "top")
    names = [name for _, name in headings_of(english)]
    assert len(names) == len(set(names))
    lines = [line for line in _FENCE.sub("", english).splitlines() if line.startswith("#")]
    assert len(lines) == len(names), "a heading without a name"
    assert blocks_of(english) == blocks_of(chinese)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_index_names_every_page_as_it_is_titled(language: str) -> None:
    chapters = (WEB / "pages" / "public" / "docs" / "pages.js").read_text().partition("export const CHAPTERS")[2]
    listed = re.findall(r"pages: \[([^\]]*)\]", chapters)
    named = [name for names in listed for name in re.findall(r'"([^"]+)"', names)]
    assert sorted(named) == PAGES
    words = json.loads((WEB / "words" / language / "docs.json").read_text())
    for page in PAGES:
        title = _HEADING.search(text_of(language, page))
        assert title is not None
        assert title["text"] == words[f"docs.page.{page}"]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("page", PAGES)
def test_placeholders_are_known(language: str, page: str) -> None:
    text = text_of(language, page)
    assert set(_PLACEHOLDER.findall(text)) <= _PLACEHOLDERS
    for block in blocks_of(text):
        assert block.marks <= {"run", "try"}
        assert "try" not in block.marks or block.language == "bash"


def routes() -> list[re.Pattern[str]]:
    """Return the addresses of the console's pages."""
    table = (WEB / "routes.js").read_text()
    paths = re.findall(r'page\("([^"]+)"', table)
    assert "/prices" in paths
    return [re.compile(re.sub(r":\w+", "[^/]+", path)) for path in paths]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(language: str, page: str) -> None:
    known = routes()
    links = [match["to"] for match in _LINK.finditer(prose_of(text_of(language, page)))]
    for link in links:
        if link.startswith("#/"):
            assert any(route.fullmatch(link[1:]) for route in known), link
        elif link.startswith("#") or ".md" in link:
            target, _, name = link.partition("#")
            other = target.removesuffix(".md") or page
            assert other in PAGES, link
            assert not name or name in [found for _, found in headings_of(text_of(language, other))], link
        else:
            assert link == "status", link


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_links(page: str) -> None:
    first, second = (sorted(_LINK.findall(prose_of(text_of(language, page)))) for language in ("en", "zh"))
    assert first == second


# --- what runs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as a reader may have it."""
    (tmp_path / "picture.png").write_bytes(PICTURE)
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    return tmp_path


@pytest.fixture
def environment(surface: Surface) -> dict[str, str]:
    """Return the variables that the pages speak of; what was there before is the same gateway."""
    ready = surface.ready
    return {
        "PATH": config.environment()["PATH"],
        "TRUNKLINE_API_KEY": ready.api_key,
        "OLD_BASE_URL": f"{ready.base_url}/v1",
        "OLD_API_KEY": ready.api_key,
    }


def runnable(page: str, language: str, surface: Surface) -> list[str]:
    """Return the blocks of a page that are to be run, as a reader sees them."""
    filled = {"{{base_url}}": surface.ready.base_url, "{{model}}": MODEL, "{{other_model}}": OTHER_MODEL}
    found = []
    for block in blocks_of(text_of("en", page)):
        if runs(block, language):
            code = _PLACEHOLDER.sub(lambda match: filled[match[0]], block.code)
            assert "sk-tl-..." not in code
            found.append(code)
    return found


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run a program and return what it printed; nothing but that may go wrong."""
    done = subprocess.run(  # noqa: S603 - the pages' own lines
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pages_with(language: str) -> list[str]:
    """Return the pages that have something to run in a language."""
    return [page for page in PAGES if any(runs(block, language) for block in blocks_of(text_of("en", page)))]


def runs(block: Block, language: str) -> bool:
    """Return whether a block is to be run, and in this language."""
    return block.language == language and "run" in block.marks


def check(page: str, language: str, said: list[str]) -> None:
    """Check that each block has printed something, and the page what it must."""
    assert said
    assert all(each.strip() for each in said)
    for words in SAID.get((page, language), []):
        assert words in "\n".join(said), said


@pytest.mark.parametrize("page", pages_with("bash"))
def test_bash_runs(surface: Surface, folder: Path, environment: dict[str, str], page: str) -> None:
    blocks = runnable(page, "bash", surface)
    said = [run(["/usr/bin/env", "bash", "-euo", "pipefail", "-c", code], folder, environment) for code in blocks]
    check(page, "bash", said)


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_runs(surface: Surface, folder: Path, environment: dict[str, str], page: str) -> None:
    (folder / "blocks.json").write_text(json.dumps(runnable(page, "python", surface)))
    said = run([sys.executable, "-c", _RUN_PYTHON, "blocks.json"], folder, environment)
    check(page, "python", said.split("--- block\n")[1:])


@pytest.mark.skipif(not (NODE / "node_modules").exists() or not shutil.which("node"), reason="there is no Node here")
@pytest.mark.parametrize("page", pages_with("javascript"))
def test_javascript_runs(surface: Surface, folder: Path, environment: dict[str, str], page: str) -> None:
    said = []
    for number, code in enumerate(runnable(page, "javascript", surface)):
        (folder / f"block-{number}.mjs").write_text(code)
        said.append(run(["node", f"block-{number}.mjs"], folder, environment))
    check(page, "javascript", said)
