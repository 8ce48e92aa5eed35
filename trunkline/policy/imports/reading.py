"""Reads files of other gateways to plain data: mappings by text, lists, text, numbers, true, false and nothing.

What operators bring was written by other programs and people, so everything about it is bounded: its bytes, and what
it grows to when the aliases of YAML are followed, which a few hundred bytes can make more than any memory holds.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import yaml

from trunkline.policy.configuration import ConfigurationError

YAML_BYTES_MAX: Final = 1024 * 1024
"""LiteLLM's file with five thousand deployments stays under it. YAML is read at some 300 kB a second."""

JSON_BYTES_MAX: Final = 8 * 1024 * 1024
"""As much as the console takes: some ten thousand channels or users."""

NODES_MAX: Final = 1_000_000
"""Values in a file, when the aliases of YAML are followed. A file of plain values has not more of them than bytes."""

DEPTH_MAX: Final = 64
"""Of values within values. No gateway's file has a fifth of it."""

NUMBER_CHARS_MAX: Final = 64
"""Of a number or a date. Turning a long one into a value takes the square of its length."""

_INTEGER_MAX: Final = 2**63 - 1

_NUMBERS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp"))


def read_yaml(text: bytes, look: Callable[[yaml.Node], None] = lambda root: None) -> Any:
    """Return a YAML file's data.

    Args:
        text: all of it.
        look: is shown the tree of nodes, which know where they stand.

    Raises:
        ConfigurationError: it is too large, no YAML, or grows beyond all bounds.
    """
    _check_size(text, YAML_BYTES_MAX)
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            # On the nodes, before values are made of them: merging keys multiplies them, too.
            _check_growth(root)
            look(root)
            return _plain(loader.construct_document(root), 0)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        # The problem alone: the whole text of the error quotes the file.
        raise ConfigurationError([f"is not valid YAML{where}"]) from error
    except RecursionError as error:
        raise ConfigurationError([_too_deep()]) from error
    except (ValueError, TypeError, OverflowError, AttributeError, KeyError, IndexError) as error:
        # No UTF-8, a number or date that is none, a mapping as a name: PyYAML raises what its parts raise.
        raise ConfigurationError([f"is not valid YAML: {type(error).__name__}"]) from error


def read_json(text: bytes) -> Any:
    """Return a JSON file's data.

    Raises:
        ConfigurationError: it is too large, or no JSON.
    """
    _check_size(text, JSON_BYTES_MAX)
    try:
        return _plain(msgspec.json.decode(text.removeprefix(b"\xef\xbb\xbf")), 0)
    except RecursionError as error:
        raise ConfigurationError([_too_deep()]) from error
    except ValueError as error:
        raise ConfigurationError(["is not valid JSON"]) from error


def _check_size(text: bytes, bytes_max: int) -> None:
    if len(text) > bytes_max:
        raise ConfigurationError([f"is larger than {bytes_max} bytes"])


def _too_deep() -> str:
    return f"has values within values, more than {DEPTH_MAX} deep"


def _check_growth(root: yaml.Node) -> None:
    """Refuse a tree of nodes that is larger than `NODES_MAX` when its aliases are followed, or endless."""
    sizes: dict[int, int] = {}
    under_way: set[int] = set()

    def size(node: yaml.Node, depth: int) -> int:
        key = id(node)
        if key in sizes:
            return sizes[key]
        if key in under_way:
            raise ConfigurationError(["has an alias that holds itself"])
        if depth > DEPTH_MAX:
            raise ConfigurationError([_too_deep()])
        under_way.add(key)
        total = 1
        if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and len(node.value) > NUMBER_CHARS_MAX:
            raise ConfigurationError([f"has a number or date of more than {NUMBER_CHARS_MAX} characters"])
        if isinstance(node, yaml.SequenceNode):
            total += sum(size(item, depth + 1) for item in node.value)
        elif isinstance(node, yaml.MappingNode):
            total += sum(size(name, depth + 1) + size(item, depth + 1) for name, item in node.value)
        under_way.discard(key)
        if total > NODES_MAX:
            raise ConfigurationError([f"has more than {NODES_MAX} values when its aliases are followed"])
        sizes[key] = total
        return total

    size(root, 0)


def _plain(value: object, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise ConfigurationError([_too_deep()])
    match value:
        case None | bool():
            return value
        case int():
            # Larger ones mean nothing in any of the files, and fit no column.
            return value if -_INTEGER_MAX <= value <= _INTEGER_MAX else float("inf") if value > 0 else float("-inf")
        case float():
            return value
        case str():
            return _text(value)
        case Mapping():
            return {_name(name): _plain(item, depth + 1) for name, item in value.items()}
        case list() | tuple() | set():
            return [_plain(item, depth + 1) for item in value]
        case dt.date():
            return value.isoformat()
        case _:
            return None


def _name(name: object) -> str:
    plain = _plain(name, 0) if not isinstance(name, tuple) else None
    return _text(str(plain))


def _text(text: str) -> str:
    # An escape can make half of a character, which nothing can store.
    return text.encode("utf-8", "replace").decode()
