"""A configuration file as text: its data, and the line of each place, so that faults are shown where they stand. Pure.

Called by the console. It has no environment: which variables a file's secrets are in is said, not what they hold.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
import yaml

from trunkline.policy.configuration import ConfigurationError
from trunkline.policy.configuration_checks import ENVIRONMENT_PREFIX
from trunkline.policy.imports.reading import read_json, read_yaml
from trunkline.policy.imports.remarks import PLACE_CHARS_MAX

PLACES_MAX: Final = 50_000
"""Whose lines are told. A file of a thousand channels has fewer; faults beyond are shown without one."""


class ConfigurationText(msgspec.Struct, frozen=True):
    """What a configuration file says.

    Attributes:
        configuration: its data; None for an empty file.
        lines: where each of its places stands, such as ``channels[0].base_url``, counted from 1.
        variables: names of the environment variables that its secrets are in.
    """

    configuration: Any
    lines: dict[str, int]
    variables: tuple[str, ...]


def read_text(text: bytes) -> ConfigurationText:
    """Return what a file says, in YAML or JSON.

    Raises:
        ConfigurationError: it is neither, or beyond the bounds of `policy.imports.reading`.
    """
    roots: list[yaml.Node] = []
    if text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        configuration = read_json(text)
        # Most of JSON is YAML, too, whose reader knows the lines; what is not goes without them.
        with contextlib.suppress(ConfigurationError):
            read_yaml(text, roots.append)
    else:
        configuration = read_yaml(text, roots.append)
    lines = dict(_lines(roots[0])) if roots else {}
    return ConfigurationText(configuration, lines, tuple(dict.fromkeys(_variables(configuration))))


def _lines(root: yaml.Node) -> Iterator[tuple[str, int]]:
    waiting = [(root, "")]
    for _ in range(PLACES_MAX):
        if not waiting:
            return
        node, place = waiting.pop()
        yield place, node.start_mark.line + 1
        if isinstance(node, yaml.SequenceNode):
            waiting += [(item, f"{place}[{number}]") for number, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            waiting += [
                # Where its name stands: a mapping begins in the line below it.
                (_from(name, item), f"{place}.{name.value}" if place else name.value)
                for name, item in node.value
                if isinstance(name, yaml.ScalarNode) and len(place) + len(name.value) < PLACE_CHARS_MAX
            ]


def _from(name: yaml.Node, item: yaml.Node) -> yaml.Node:
    """Return a node with another beginning."""
    kind = type(item)
    return kind(item.tag, item.value, name.start_mark, item.end_mark)


def _variables(configuration: object) -> Iterator[str]:
    for secret in _secrets(configuration):
        if isinstance(secret, str) and secret.startswith(ENVIRONMENT_PREFIX):
            yield secret.removeprefix(ENVIRONMENT_PREFIX)


def _secrets(configuration: object) -> Iterator[object]:
    for channel in _entries(configuration, "channels"):
        credentials = channel.get("credentials")
        for credential in credentials if isinstance(credentials, list) else ():
            yield credential.get("secret") if isinstance(credential, Mapping) else credential
    for account in _entries(configuration, "accounts"):
        for key in _entries(account, "keys"):
            yield key.get("secret")


def _entries(parent: object, name: str) -> Iterator[Mapping[str, Any]]:
    entries = parent.get(name) if isinstance(parent, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping):
            yield entry
