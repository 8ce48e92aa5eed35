"""An OpenID provider: real HTTP, real signatures, and people who agree at once. It can be told to lie."""

import base64
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from trunkline.runtime.clock import SystemClock

CLIENT_ID = "trunkline-console"
CLIENT_SECRET = "secret of the console: ü"
HOLDS_S = 300


class OpenIDProvider:
    """A provider with one client, `CLIENT_ID`.

    Attributes:
        issuer: its name.
        person: claims of who is signed in there.
        lies: claims that are other than they should be; None leaves one out.
        algorithm: of signatures.
        stranger: tokens are signed with a key that it does not publish.
        asked: paths of the requests that came.
        endpoints: of its metadata that lead elsewhere, by name.
        redirects: its documents are elsewhere, it says.
        down: it answers nothing but 500.
    """

    def __init__(self) -> None:
        self.issuer = ""
        self.person: dict[str, Any] = {"sub": "248289761001", "preferred_username": "kim"}
        self.lies: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.stranger = False
        self.asked: list[str] = []
        self.endpoints: dict[str, str] = {}
        self.redirects = False
        self.down = False
        self.id_token = ""
        self._keys = self._new_keys()
        self._codes: dict[str, dict[str, str]] = {}
        self._clock = SystemClock()

    def rotate(self) -> None:
        """Sign with other keys from now on."""
        self._keys = self._new_keys()

    @staticmethod
    def _new_keys() -> dict[str, RSAKey | ECKey]:
        rsa, curve = secrets.token_hex(4), secrets.token_hex(4)
        return {
            "RS256": RSAKey.generate_key(2048, {"kid": rsa, "use": "sig"}),
            "ES256": ECKey.generate_key("P-256", {"kid": curve, "use": "sig"}),
        }

    def routes(self) -> list[web.RouteDef]:
        """Its endpoints."""
        return [
            web.get("/.well-known/openid-configuration", self._metadata),
            web.get("/keys", self._published),
            web.get("/authorize", self._authorize),
            web.post("/token", self._token),
        ]

    @web.middleware
    async def notes(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Note each request."""
        self.asked.append(request.path)
        if self.down:
            return web.Response(status=500)
        response: web.StreamResponse = await handler(request)
        return response

    async def _metadata(self, _request: web.Request) -> web.Response:
        if self.redirects:
            return web.Response(status=302, headers={"location": f"{self.issuer}/keys"})
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize?tenant=campus",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                **self.endpoints,
            }
        )

    async def _published(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": [key.as_dict(private=False) for key in self._keys.values()]})

    async def _authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        assert query["tenant"] == "campus"
        assert (query["client_id"], query["response_type"]) == (CLIENT_ID, "code")
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        back = urlencode({"code": code, "state": query["state"]})
        return web.Response(status=302, headers={"location": f"{query['redirect_uri']}?{back}"})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self._codes.pop(str(form["code"]), None)
        pair = f"{CLIENT_ID}:{urlencode({'': CLIENT_SECRET})[1:]}".encode()
        authorised = request.headers.get("authorization") == f"Basic {base64.b64encode(pair).decode()}"
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        same = asked is not None and challenge == asked["code_challenge"]
        if asked is None or not authorised or not same or form["redirect_uri"] != asked["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.id_token = self._signed(asked["nonce"])
        return web.json_response({"access_token": "unused", "token_type": "Bearer", "id_token": self.id_token})

    def _signed(self, nonce: str) -> str:
        now_s = self._clock.wall_ms() // 1000
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now_s,
            "exp": now_s + HOLDS_S,
            "nonce": nonce,
            **self.person,
            **self.lies,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.algorithm == "none":
            parts = ({"alg": "none"}, claims)
            return (
                ".".join(base64.urlsafe_b64encode(msgspec.json.encode(part)).rstrip(b"=").decode() for part in parts)
                + "."
            )
        if self.algorithm == "HS256":
            # The old trick: the provider's public key as a secret that everybody has.
            public = self._keys["RS256"].as_pem(private=False)
            header = {"alg": "HS256", "kid": self._keys["RS256"].kid}
            return jwt.encode(header, claims, OctKey.import_key(public), algorithms=["HS256"])
        keys = self._new_keys() if self.stranger else self._keys
        key = keys[self.algorithm]
        published = self._keys[self.algorithm].kid
        return jwt.encode({"alg": self.algorithm, "kid": published}, claims, key)


@contextlib.asynccontextmanager
async def running_provider() -> AsyncIterator[OpenIDProvider]:
    """Run a provider for the length of the block."""
    provider = OpenIDProvider()
    app = web.Application(middlewares=[provider.notes])
    app.router.add_routes(provider.routes())
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()
