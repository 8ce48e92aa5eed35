"""What pages tell people to type: the commands in them, and whether the command line has them."""

import functools
import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer.main

from trunkline.cli.__main__ import app

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SHELLS = {"", "sh", "bash"}
_ENDS = {"|", "&", "&&", ";", ">"}


@functools.cache
def command_line() -> Any:
    """Return the whole command line. Any: typer carries a click of its own, whose classes are not its interface."""
    return typer.main.get_command(app)


def check_command(words: list[str]) -> None:
    """Assert that the command line has such a command with such options.

    Args:
        words: behind ``trunkline``; a negative number is no option.
    """
    command, left = command_line(), list(words)
    while left and (children := getattr(command, "commands", {})):
        assert left[0] in children, words
        command = children[left.pop(0)]
    options = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help"}
    assert {word.partition("=")[0] for word in left if re.match(r"--?[a-z]", word)} <= options, words


def commands(text: str) -> Iterator[list[str]]:
    """Yield what stands behind ``trunkline`` where a page says to type it, in a block or within a sentence."""
    for language, block in _BLOCK.findall(text):
        if language in _SHELLS:
            for line in block.replace("\\\n", " ").splitlines():
                yield from _typed(line)
    for said in re.findall(r"`([^`]+)`", _BLOCK.sub("", text)):
        yield from _typed(said)


def _typed(line: str) -> Iterator[list[str]]:
    line = re.sub(r"^\s*([A-Z_]+=\S+\s+)*", "", line)
    if not line.startswith("trunkline "):
        return
    words = shlex.split(line, comments=True)[1:]
    ends = [number for number, word in enumerate(words) if word in _ENDS]
    yield words[: ends[0]] if ends else words
