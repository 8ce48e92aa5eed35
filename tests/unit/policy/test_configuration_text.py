"""A configuration file as text: its data, where each place stands, and which variables it needs."""

import pytest

from trunkline.policy import configuration_text
from trunkline.policy.configuration import ConfigurationError
from trunkline.policy.configuration_text import read_text

YAML = """\
# of the site
channels:
  - name: main
    credentials: [env:FIRST, literal, {secret: env:SECOND, weight: 2}]
    models:
      gpt-4o: upstream-4o
accounts:
- name: acme
  keys:
  - {name: ci, secret: env:FIRST}
"""


def test_each_place_has_its_line() -> None:
    found = read_text(YAML.encode())
    assert found.configuration["channels"][0]["models"] == {"gpt-4o": "upstream-4o"}
    assert found.variables == ("FIRST", "SECOND")
    assert {place: found.lines[place] for place in ("channels", "channels[0].name", "channels[0].models.gpt-4o")} == {
        "channels": 2,
        "channels[0].name": 3,
        "channels[0].models.gpt-4o": 6,
    }
    assert found.lines["channels[0].models"] == 5
    assert found.lines["channels[0].credentials[2].secret"] == 4
    assert found.lines["accounts[0].keys[0].secret"] == 10


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('{\n "groups": [\n  {"name": "vip"}\n ]\n}', {"": 1, "groups": 2, "groups[0]": 3, "groups[0].name": 3}),
        ('{\n\t"groups": []}', {}),
        ("", {}),
        ("# nothing", {}),
    ],
)
def test_json_has_lines_where_it_is_yaml(text: str, lines: dict[str, int]) -> None:
    found = read_text(text.encode())
    assert found.lines == lines
    assert found.variables == ()


def test_what_is_no_file_is_refused_with_the_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_text(b"groups:\n  - name: [")
    assert caught.value.faults == ["is not valid YAML in line 2"]


@pytest.mark.parametrize(
    "text", ["[]", "channels: 1", "channels: [1, {credentials: 2}, {credentials: [3]}]", "accounts: [{keys: x}, null]"]
)
def test_whatever_stands_where_secrets_should_is_let_be(text: str) -> None:
    assert read_text(text.encode()).variables == ()


def test_lines_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration_text, "PLACES_MAX", 10)
    assert len(read_text(b"groups: [" + b"{name: a}, " * 100 + b"]").lines) == 10
    long = "a" * 150
    assert max(map(len, read_text(f"{long}: {{{long}: {{b: c}}}}".encode()).lines)) == 150
