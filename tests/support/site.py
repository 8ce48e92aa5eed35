"""A stack as an institution runs it: below a path of a proxy, with mail, and with people who have a login elsewhere."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import asyncpg

from tests.support.background import Background, background
from tests.support.browser import PASSWORD, People
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIDProvider, running_provider
from tests.support.prefix_proxy import PrefixProxy
from tests.support.smtp_server import Mailbox, running_smtp
from tests.support.stack import until
from tests.support.surface import Surface, running_surface

PATH = "/some/prefix"

MAIL_WITHIN_S = 10.0

_LINK = re.compile(r"https?://\S+#/[a-z-]+/[A-Za-z0-9_-]{43}")


class Site:
    """A running stack and what is around it.

    Args:
        surface: the stack.
        proxy: before its console.
        mailbox: where its mails go.
        provider: of OpenID.
        servers: where those three run.

    Attributes:
        people: logins of it.
        url: of its console, as people reach it.
    """

    def __init__(
        self, surface: Surface, proxy: PrefixProxy, mailbox: Mailbox, provider: OpenIDProvider, servers: Background
    ) -> None:
        self.surface = surface
        self.proxy = proxy
        self.provider = provider
        self.people = People(surface)
        self.url = proxy.url
        self._mailbox = mailbox
        self._servers = servers

    def register(self, **settings: object) -> None:
        """Change settings of registration; what is left out is as at the beginning."""
        usual: dict[str, Any] = {
            "open": True,
            "site_name": "Physics Gateway",
            "name_pattern": "",
            "name_help": {},
            "password_chars_min": 12,
            "approval": False,
            "email_required": False,
            "email_domains": [],
            "tier": None,
            "groups": ["default"],
            "trial": False,
            "per_day_max": 1000,
        }
        self.surface.admin("PUT", "/registration", usual | settings)

    def make_operators(self, names: list[str]) -> list[str]:
        """Make these logins operators, and no others, behind the console's back: it never lets the last one go.

        Returns: who was one before.
        """
        statement = """
            with before as (select id, name from logins where operator),
                 changed as (update logins set operator = name = any($1) returning id)
            select name from before
        """

        async def change() -> list[str]:
            connection = await asyncpg.connect(self.surface.ready.postgres_dsn)
            try:
                return [row["name"] for row in await connection.fetch(statement, names)]
            finally:
                await connection.close()

        return self._servers.run(change())

    def mail_to(self, address: str, number: int = 1) -> str:
        """Return the text of a mail to an address once it has come; ``number`` counts them from 1."""

        def look() -> str | None:
            texts = [mail.message.get_content() for mail in list(self._mailbox.mails) if mail.recipients == [address]]
            return texts[number - 1] if len(texts) >= number else None

        return until(look, MAIL_WITHIN_S, f"mail {number} to {address}")

    def link_to(self, address: str, number: int = 1) -> str:
        """Return the link in a mail."""
        found = _LINK.search(self.mail_to(address, number))
        assert found is not None, "no link in the mail"
        return found[0]

    def with_email(self, name: str) -> str:
        """Make a login with a proved address and `PASSWORD`; returns the address."""
        address = f"{name}@campus.example"
        created = self.surface.admin("POST", "/logins", {"name": name, "email": address})
        token = created["link"]["url"].rpartition("/")[2]
        self.surface.admin("POST", "/password-resets/finish", {"token": token, "password": PASSWORD})
        return address


@contextlib.contextmanager
def running_site() -> Iterator[Site]:
    """Run all of it for the length of the block."""
    with background() as servers, contextlib.ExitStack() as stack:
        proxy = stack.enter_context(servers.running(PrefixProxy(PATH).running()))
        mailbox = stack.enter_context(servers.running(running_smtp()))
        provider = stack.enter_context(servers.running(running_provider()))
        settings = {
            "TRUNKLINE_CONSOLE_PUBLIC_URL": proxy.url,
            "TRUNKLINE_CONSOLE_TRUSTED_PROXIES": "127.0.0.1",
            "TRUNKLINE_OIDC_ISSUER": provider.issuer,
            "TRUNKLINE_OIDC_CLIENT_ID": CLIENT_ID,
            "TRUNKLINE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "TRUNKLINE_OIDC_NAME": "Campus ID",
            "TRUNKLINE_SMTP_HOST": "localhost",
            "TRUNKLINE_SMTP_PORT": str(mailbox.port),
            "TRUNKLINE_SMTP_SECURITY": "none",
        }
        surface = stack.enter_context(running_surface(settings=settings))
        proxy.target = surface.ready.console_url
        yield Site(surface, proxy, mailbox, provider, servers)
