"""The page on dialects names every option of a channel and every dialect that a channel may have."""

import re
from pathlib import Path

from trunkline.protocol.names import UPSTREAMS
from trunkline.protocol.vendor import VendorOptions

PAGE = (Path(__file__).parents[3] / "docs/dialects.md").read_text()


def rows(heading: str) -> list[str]:
    """Return the first column of the table under a heading's cell."""
    table = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0]
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)


def test_every_option_is_on_the_page_in_its_order() -> None:
    assert rows("option") == list(VendorOptions.__struct_fields__)


def test_every_dialect_of_a_channel_is_on_the_page() -> None:
    assert rows("`dialect` of a channel") == list(UPSTREAMS)
