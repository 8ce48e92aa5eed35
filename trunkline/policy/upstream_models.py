"""A provider's list of models: how it is asked for page by page, and how a page is read. Called by the console. Pure.

Each dialect pages in its own way (DIALECTS section 7): OpenAI not at all, Anthropic by the last id, Gemini by a token.
"""

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.policy.admin_probes import DiscoveredModels, UpstreamModel
from trunkline.policy.probe_call import ProbeCall, models_path, probe_headers
from trunkline.protocol.names import UPSTREAM_ANTHROPIC, UPSTREAM_GEMINI

PAGE_MODELS = 1000
"""Asked for at a time: the most that Anthropic and Google give."""

PAGES_MAX = 10
"""A provider that always says that there is more must not keep us."""

MODELS_MAX = 5000
"""OpenRouter, which offers everybody's, lists 500."""

NAME_CHARS_MAX = 256
"""As for public names; what is longer is no model's name."""

_GEMINI_PREFIX = "models/"


class ModelsPage(NamedTuple):
    """A page of a list.

    Attributes:
        names: the provider's.
        cursor: what the next page is asked for with; empty at the end.
    """

    names: tuple[str, ...]
    cursor: str = ""


class _Entry(msgspec.Struct, frozen=True):
    id: str = ""
    name: str = ""


class _List(msgspec.Struct, frozen=True):
    data: list[_Entry] = []
    models: list[_Entry] = []
    has_more: bool = False
    last_id: str | None = None
    next_page_token: str | None = msgspec.field(default=None, name="nextPageToken")


_decode = msgspec.json.Decoder(_List | list[_Entry]).decode


def list_call(channel: ChannelSnapshot, secret: str | None, cursor: str = "") -> ProbeCall:
    """Return the request for a page of a channel's list.

    Args:
        channel: whose provider is asked.
        secret: the credential; None where the upstream wants none.
        cursor: of the page before; empty for the first.
    """
    url = channel.base_url + models_path(channel)
    names = {UPSTREAM_ANTHROPIC: ("limit", "after_id"), UPSTREAM_GEMINI: ("pageSize", "pageToken")}.get(channel.dialect)
    if names is not None:
        size, after = names
        url += f"?{size}={PAGE_MODELS}" + (f"&{after}={quote(cursor, safe='')}" if cursor else "")
    return ProbeCall("GET", url, probe_headers(channel, secret))


def read_page(dialect: str, body: bytes) -> ModelsPage:
    """Return a page; some providers send the bare list without an object around it.

    Raises:
        ValueError: it is none.
    """
    try:
        found = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("not a list of models") from error
    if isinstance(found, list):
        return ModelsPage(_names(entry.id or entry.name for entry in found))
    if dialect == UPSTREAM_GEMINI:
        names = (entry.name.removeprefix(_GEMINI_PREFIX) for entry in found.models)
        return ModelsPage(_names(names), found.next_page_token or "")
    cursor = (found.last_id or "") if dialect == UPSTREAM_ANTHROPIC and found.has_more else ""
    return ModelsPage(_names(entry.id for entry in found.data), cursor)


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if 0 < len(name) <= NAME_CHARS_MAX)


def discovered(channel: ChannelSnapshot, names: Iterable[str], *, complete: bool) -> DiscoveredModels:
    """Return a channel's list beside what the channel makes of it.

    Args:
        channel: whose provider was asked.
        names: the provider's.
        complete: whether that is all of them.
    """
    mapped: dict[str, list[str]] = {}
    for public, upstream in sorted(channel.models.items()):
        mapped.setdefault(upstream.removeprefix(_GEMINI_PREFIX), []).append(public)
    listed = sorted(set(names))
    kept = listed[:MODELS_MAX]
    unlisted = () if not complete else tuple(sorted(p for name in mapped.keys() - set(listed) for p in mapped[name]))
    return DiscoveredModels(
        channel=channel.name,
        models=tuple(UpstreamModel(name, tuple(mapped.get(name, ()))) for name in kept),
        unlisted=unlisted,
        complete=complete and len(kept) == len(listed),
    )
