"""Settings of the console that have a form of their own."""

import base64

import pytest

from services.console.config import ConsoleSettings
from trunkline.runtime import config
from trunkline.runtime.config import SettingsError

REQUIRED = {
    "DATABASE_URL": "postgresql://localhost/none",
    "TRUNKLINE_ADMIN_KEY": "a" * 16,
    "TRUNKLINE_KEY_PEPPER": "p" * 16,
    "TRUNKLINE_MASTER_KEYS": "1:" + base64.b64encode(bytes(32)).decode(),
}


def load(**others: str) -> ConsoleSettings:
    return config.load(ConsoleSettings, {**REQUIRED, **others})


@pytest.mark.parametrize("url", ["", "https://status.example.com/status", "http://127.0.0.1:8081/status"])
def test_the_status_page_has_a_url_or_none(url: str) -> None:
    assert load(TRUNKLINE_STATUS_URL=url).status_url == url


@pytest.mark.parametrize(
    "url",
    [
        "status.example.com",
        "javascript:alert(1)",
        "https://",
        "https://[::1",
        "https://a.example/s tatus",
        "https://a.example/?lang=en",
        "https://a.example/#top",
        "https://ä.example/",
        "https://a.example/\n",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="TRUNKLINE_STATUS_URL"):
        load(TRUNKLINE_STATUS_URL=url)


@pytest.mark.parametrize(("text", "groups"), [("", ()), ("a, b", ("a", "b"))])
def test_no_group_turns_the_status_page_off(text: str, groups: tuple[str, ...]) -> None:
    assert load().status_groups == ("default",)
    assert load(TRUNKLINE_STATUS_GROUPS=text).status_groups == groups
