"""Mails of the console to people: to prove an address, and to set a new password. In the reader's language."""

# ruff: noqa: RUF001 - Chinese has punctuation of its own, which looks like ours

from collections.abc import Mapping
from typing import Final, NamedTuple

DEFAULT_LANGUAGE: Final = "en"


class Letter(NamedTuple):
    """A mail: one line, and what follows."""

    subject: str
    text: str


class _Words(NamedTuple):
    confirm: Letter
    reset: Letter


_WORDS: Mapping[str, _Words] = {
    "en": _Words(
        confirm=Letter(
            "Confirm your address at {site}",
            "Somebody, probably you, has registered at {site} as {name} with this address.\n\n"
            "Open this link within 24 hours to confirm it:\n\n{url}\n\n"
            "If that was not you, do nothing: without the link the registration goes away by itself.\n",
        ),
        reset=Letter(
            "Set a new password at {site}",
            "Somebody, probably you, has asked for a new password for the login {name} at {site}.\n\n"
            "Open this link within an hour to set it:\n\n{url}\n\n"
            "If that was not you, do nothing: the password stays as it is.\n",
        ),
    ),
    "zh": _Words(
        confirm=Letter(
            "请确认您在 {site} 的邮箱地址",
            "有人（很可能是您本人）用此邮箱地址在 {site} 注册了账号 {name}。\n\n"
            "请在 24 小时内打开以下链接确认：\n\n{url}\n\n"
            "如果不是您本人操作，无需理会：未确认的注册会自动失效。\n",
        ),
        reset=Letter(
            "重新设置您在 {site} 的密码",
            "有人（很可能是您本人）请求为 {site} 的账号 {name} 设置新密码。\n\n"
            "请在一小时内打开以下链接进行设置：\n\n{url}\n\n"
            "如果不是您本人操作，无需理会：密码不会改变。\n",
        ),
    ),
}


def confirmation(language: str | None, *, site: str, name: str, url: str) -> Letter:
    """Return the mail that proves an address; ``url`` is the link."""
    return _filled(_words(language).confirm, site, name, url)


def reset(language: str | None, *, site: str, name: str, url: str) -> Letter:
    """Return the mail by which somebody sets a new password; ``url`` is the link."""
    return _filled(_words(language).reset, site, name, url)


def _words(language: str | None) -> _Words:
    return _WORDS.get(language or DEFAULT_LANGUAGE, _WORDS[DEFAULT_LANGUAGE])


def _filled(letter: Letter, site: str, name: str, url: str) -> Letter:
    return Letter(letter.subject.format(site=site), letter.text.format(site=site, name=name, url=url))
