"""Configurations of other gateways as ours. Called by the console and the CLI.

Pure: `reading` makes plain data of a file, `litellm` and `new_api` a configuration and remarks of the data.
"""

from collections.abc import Callable, Collection
from enum import StrEnum

from trunkline.policy.imports import litellm, new_api
from trunkline.policy.imports.new_api import Part
from trunkline.policy.imports.reading import read_json, read_yaml
from trunkline.policy.imports.remarks import Imported


class Format(StrEnum):
    """What can be imported."""

    LITELLM = "litellm"
    NEW_API = "new-api"


def import_text(
    format_: Format, text: bytes, include: Collection[Part], mint: Callable[[], str], now_ms: int
) -> Imported:
    """Return what the text of a file is in our terms.

    Args:
        format_: whose file it is.
        text: see there.
        include: what is to be taken of New API's.
        mint: makes a key's secret.
        now_ms: Unix time in milliseconds, for list prices and what has expired.

    Raises:
        ConfigurationError: it is no such file; no value is quoted.
    """
    match format_:
        case Format.LITELLM:
            return litellm.convert(read_yaml(text), now_ms)
        case Format.NEW_API:
            return new_api.convert(read_json(text), include, mint, now_ms)
