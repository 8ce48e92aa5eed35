"""Puts together all that people sign in with."""

from collections.abc import Sequence

from aiohttp import web

from services.console.config import ConsoleSettings
from services.console.context import Context
from services.console.guessing import Guessing
from services.console.identity import Identity
from services.console.identity_api import IdentityAPI
from services.console.letters import Letters
from services.console.logins_api import LoginsAPI
from services.console.members_api import MembersAPI
from services.console.oidc import Provider
from services.console.oidc_api import CALLBACK, OIDCAPI
from services.console.own_login_api import OwnLoginAPI
from services.console.passwords import Passwords
from services.console.registration_api import RegistrationAPI
from services.console.sessions import LoginSessions
from trunkline.core.clock import Clock
from trunkline.policy.logins.oidc import Client
from trunkline.runtime.http_client import HTTPClientPool
from trunkline.runtime.smtp import SMTPMailer


class People:
    """Sessions and the handlers of logins.

    Args:
        context: of the console.
        settings: of the console.
        mailer: sends mail; None if no server is set.
        outside: opens connections to the OpenID provider, and to no address inside that is not allowed.

    Attributes:
        sessions: who is signed in.
        provider: the OpenID provider; None for none.
    """

    def __init__(
        self, context: Context, settings: ConsoleSettings, mailer: SMTPMailer | None, outside: HTTPClientPool
    ) -> None:
        public_url = settings.public_url.rstrip("/")
        # With a certificate of its own it is reached over https, under whatever name.
        self.sessions = LoginSessions(context, public_url or ("https://" if settings.certificate_path else ""))
        self._passwords = Passwords()
        self._letters = Letters(mailer, context.clock) if mailer is not None and public_url else None
        self.provider = _provider(settings, outside, context.clock)
        identity = Identity(
            context=context,
            sessions=self.sessions,
            passwords=self._passwords,
            guessing=Guessing(context),
            letters=self._letters,
            public_url=public_url,
            oidc_name=settings.oidc_name if settings.oidc_issuer else "",
        )
        self._apis = (
            IdentityAPI(identity, settings.base_url.rstrip("/")),
            OwnLoginAPI(identity),
            RegistrationAPI(identity),
            LoginsAPI(identity),
            MembersAPI(identity),
            OIDCAPI(identity, self.provider),
        )

    def routes(self) -> Sequence[web.RouteDef]:
        """Return the routes."""
        return [route for api in self._apis for route in api.routes()]

    async def run(self) -> None:
        """Send mails until the process ends."""
        if self._letters is not None:
            await self._letters.run()

    def close(self) -> None:
        """Begin nothing more."""
        self._passwords.close()


def settings_faults(settings: ConsoleSettings) -> list[str]:
    """Return what is wrong with settings that belong together."""
    if not settings.oidc_issuer:
        return []
    missing = {
        "TRUNKLINE_OIDC_CLIENT_ID": settings.oidc_client_id,
        "TRUNKLINE_CONSOLE_PUBLIC_URL": settings.public_url,
    }
    return [f"{name} is not set, which TRUNKLINE_OIDC_ISSUER needs" for name, value in missing.items() if not value]


def _provider(settings: ConsoleSettings, outside: HTTPClientPool, clock: Clock) -> Provider | None:
    if not settings.oidc_issuer:
        return None
    client = Client(
        id=settings.oidc_client_id,
        secret=settings.oidc_client_secret,
        redirect_uri=f"{settings.public_url.rstrip('/')}/{CALLBACK}",
        scopes=settings.oidc_scopes,
        name_claim=settings.oidc_name_claim,
    )
    return Provider(settings.oidc_issuer, client, outside, clock)
