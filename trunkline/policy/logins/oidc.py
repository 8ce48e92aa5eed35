"""Signing in at an OpenID provider: what is asked, and what an answer must be (OpenID Connect Core 1.0 section 3.1).

Authorization code with PKCE (RFC 7636), state and nonce. Pure: times, keys and randomness are arguments.
"""

import base64
import dataclasses
import hashlib
import hmac
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures that are taken: by the provider's key, never by a secret that others have, too, and never none."""

LEEWAY_S: Final = 60
"""How far the provider's clock may be off."""

SUBJECT_CHARS_MAX: Final = 255
"""Of a subject (OpenID Connect Core section 2)."""

DOCUMENT_BYTES_MAX: Final = 256 * 1024
"""Of the provider's metadata, its keys or a token answer; real ones have a tenth of it."""


class OIDCFault(StrEnum):
    """Why nobody was signed in, as the page is told.

    Attributes:
        FAILED: the provider cannot be reached, or what it says is wrong; the log has more.
        EXPIRED: the answer came too late, twice, or at another browser than the question.
        DENIED: the provider says that the person did not agree.
        CLOSED: there is no such login, and nobody may register.
        NAME: what the provider calls the person can be no new login's name here.
        EMAIL: the person's address is not proved, or none that may register.
        TAKEN: another login is the provider's person already.
        UNCONFIRMED, WAITING, BLOCKED: where the login stands.
    """

    FAILED = "failed"
    EXPIRED = "expired"
    DENIED = "denied"
    CLOSED = "closed"
    NAME = "name"
    EMAIL = "email"
    TAKEN = "taken"
    UNCONFIRMED = "unconfirmed"
    WAITING = "waiting"
    BLOCKED = "blocked"


class OIDCError(Exception):
    """Nobody can be signed in; the message is for the operator's log and quotes nothing that opens something.

    Attributes:
        fault: for the page.
    """

    def __init__(self, message: str, fault: OIDCFault = OIDCFault.FAILED) -> None:
        super().__init__(message)
        self.fault = fault


class Metadata(msgspec.Struct, frozen=True):
    """What a provider says of itself (OpenID Connect Discovery 1.0 section 3), as far as it is needed."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class Attempt(msgspec.Struct, frozen=True):
    """What the browser keeps, signed by us, while its person is at the provider.

    Attributes:
        state: must come back: the answer is to this question.
        nonce: must stand in the ID token.
        verifier: of PKCE.
        ends_s: until when, Unix time in seconds.
        login: who is to be known to the provider; 0 for whoever comes.
        session: of that login; it must hold still.
    """

    state: str
    nonce: str
    verifier: str
    ends_s: int
    login: int = 0
    session: int = 0


class TokenAnswer(msgspec.Struct, frozen=True):
    """The part of the token endpoint's answer that is used."""

    id_token: str


@dataclasses.dataclass(frozen=True)
class Client:
    """What the provider knows the console as.

    Attributes:
        id: see there.
        secret: empty for a public client.
        redirect_uri: where the browser comes back.
        scopes: what is asked for.
        name_claim: what becomes the name of a new login.
    """

    id: str
    secret: str
    redirect_uri: str
    scopes: tuple[str, ...]
    name_claim: str


@dataclasses.dataclass(frozen=True)
class Identified:
    """Whom a provider has identified.

    Attributes:
        issuer, subject: name the person, for ever.
        name: what it calls them; None if it does not say.
        email: their address; None if it says none, or has not verified it.
    """

    issuer: str
    subject: str
    name: str | None
    email: str | None


def metadata_url(issuer: str) -> str:
    """Return where a provider describes itself (OpenID Connect Discovery 1.0 section 4)."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def read_metadata(document: bytes, issuer: str) -> Metadata:
    """Return what a provider says of itself.

    Raises:
        OIDCError: it is no such document, or another provider's.
    """
    try:
        metadata = msgspec.json.decode(document, type=Metadata)
    except msgspec.MsgspecError as error:
        raise OIDCError("the provider's metadata is not understood") from error
    if metadata.issuer.rstrip("/") != issuer.rstrip("/"):
        raise OIDCError("the provider's metadata names another issuer than TRUNKLINE_OIDC_ISSUER")
    scheme = urlsplit(issuer).scheme
    for url in (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri):
        if urlsplit(url).scheme not in {"https", scheme} or not urlsplit(url).hostname:
            raise OIDCError("an endpoint in the provider's metadata is no URL, or not encrypted though the issuer is")
    return metadata


def read_keys(document: bytes) -> KeySet:
    """Return a provider's keys.

    Raises:
        OIDCError: they are none.
    """
    try:
        return KeySet.import_key_set(msgspec.json.decode(document))
    except (msgspec.MsgspecError, JoseError, KeyError, TypeError, ValueError) as error:
        raise OIDCError("the provider's keys are not understood") from error


def authorization_url(metadata: Metadata, client: Client, attempt: Attempt) -> str:
    """Return where the browser is to go (OpenID Connect Core section 3.1.2.1)."""
    digest = hashlib.sha256(attempt.verifier.encode()).digest()
    query = urlencode(
        {
            "response_type": "code",
            "client_id": client.id,
            "redirect_uri": client.redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *client.scopes))),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
    )
    joint = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
    return f"{metadata.authorization_endpoint}{joint}{query}"


def token_request(metadata: Metadata, client: Client, attempt: Attempt, code: str) -> tuple[dict[str, str], bytes]:
    """Return header fields and body that turn a code into tokens (RFC 6749 section 4.1.3)."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": attempt.verifier,
        "client_id": client.id,
    }
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    if client.secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
        # RFC 6749 section 2.3.1: both are form-encoded first.
        pair = f"{_form_encoded(client.id)}:{_form_encoded(client.secret)}"
        headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    elif client.secret:
        form["client_secret"] = client.secret
    return headers, urlencode(form).encode()


def read_token_answer(document: bytes) -> str:
    """Return the ID token in a token endpoint's answer.

    Raises:
        OIDCError: there is none.
    """
    try:
        return msgspec.json.decode(document, type=TokenAnswer).id_token
    except msgspec.MsgspecError as error:
        raise OIDCError("the provider's answer has no ID token") from error


def identified(
    id_token: str, keys: KeySet, *, metadata: Metadata, client: Client, nonce: str, now_s: int
) -> Identified:
    """Return whom an ID token names, if all that must hold of it does (OpenID Connect Core section 3.1.3.7).

    Args:
        id_token: of the token endpoint.
        keys: of the provider.
        metadata: of the provider.
        client: see there.
        nonce: that was sent with the question.
        now_s: Unix time in seconds.

    Raises:
        OIDCError: something does not.
    """
    try:
        claims = jwt.decode(id_token, keys, algorithms=ALGORITHMS).claims
        registry = jwt.JWTClaimsRegistry(
            now=now_s,
            leeway=LEEWAY_S,
            iss={"essential": True, "value": metadata.issuer},
            aud={"essential": True, "value": client.id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
        registry.validate(claims)
    except (JoseError, ValueError, TypeError) as error:
        raise OIDCError(f"the ID token is refused: {type(error).__name__}") from error
    _check_parties(claims, client)
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise OIDCError("the ID token is refused: it is the answer to another question")
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARS_MAX or "\x00" in subject:
        raise OIDCError("the ID token is refused: its subject can be none")
    return Identified(
        metadata.issuer,
        subject,
        _text(claims, client.name_claim),
        _text(claims, "email") if claims.get("email_verified") is True else None,
    )


def _check_parties(claims: dict[str, Any], client: Client) -> None:
    """Refuse a token that others may use, too (section 3.1.3.7, points 3 to 5)."""
    audience = claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    party = claims.get("azp")
    if (several or party is not None) and party != client.id:
        raise OIDCError("the ID token is refused: it was made for another client")


def _text(claims: dict[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _form_encoded(text: str) -> str:
    return urlencode({"": text})[1:]
