"""What is asked of an OpenID provider, and which of its documents are believed."""

import base64
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from trunkline.policy.logins.oidc import (
    Attempt,
    Client,
    Metadata,
    OIDCError,
    authorization_url,
    metadata_url,
    read_keys,
    read_metadata,
    read_token_answer,
    token_request,
)

ISSUER = "https://id.example.edu/campus"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
    "more": ["that", "nobody", "asked", "for"],
}
METADATA = Metadata(ISSUER, f"{ISSUER}/authorize", f"{ISSUER}/token", f"{ISSUER}/keys")
CLIENT = Client(
    "console", "s:cret ü", "https://llm.example.edu/oidc/callback", ("profile", "openid"), "preferred_username"
)
# The verifier and its challenge of RFC 7636 appendix B.
ATTEMPT = Attempt("state-1", "nonce-1", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", 1000)


def test_a_provider_describes_itself() -> None:
    assert metadata_url(f"{ISSUER}/") == f"{ISSUER}/.well-known/openid-configuration"
    assert read_metadata(msgspec.json.encode(DOCUMENT), ISSUER) == METADATA
    assert read_metadata(msgspec.json.encode(DOCUMENT), f"{ISSUER}/") == METADATA


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://id.example.org/campus"},
        {"token_endpoint": "http://id.example.edu/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": "/keys"},
        {"jwks_uri": None},
    ],
)
def test_a_document_that_is_anothers_or_not_encrypted_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(OIDCError):
        read_metadata(msgspec.json.encode({**DOCUMENT, **changes}), ISSUER)


def test_the_question_has_state_nonce_and_challenge() -> None:
    asked = parse_qs(urlsplit(authorization_url(METADATA, CLIENT, ATTEMPT)).query)
    assert asked == {
        "response_type": ["code"],
        "client_id": ["console"],
        "redirect_uri": ["https://llm.example.edu/oidc/callback"],
        "scope": ["openid profile"],
        "state": ["state-1"],
        "nonce": ["nonce-1"],
        "code_challenge": ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],
        "code_challenge_method": ["S256"],
    }
    with_query = msgspec.structs.replace(METADATA, authorization_endpoint=f"{ISSUER}/authorize?tenant=1")
    assert authorization_url(with_query, CLIENT, ATTEMPT).startswith(f"{ISSUER}/authorize?tenant=1&response_type=code&")


def test_a_code_is_turned_into_tokens_as_the_provider_takes_it() -> None:
    headers, body = token_request(METADATA, CLIENT, ATTEMPT, "code&1")
    form = parse_qs(body.decode())
    assert form == {
        "grant_type": ["authorization_code"],
        "code": ["code&1"],
        "redirect_uri": ["https://llm.example.edu/oidc/callback"],
        "code_verifier": [ATTEMPT.verifier],
        "client_id": ["console"],
    }
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b"console:s%3Acret+%C3%BC"
    posted = msgspec.structs.replace(METADATA, token_endpoint_auth_methods_supported=("client_secret_post",))
    headers, body = token_request(posted, CLIENT, ATTEMPT, "c")
    assert "authorization" not in headers
    assert parse_qs(body.decode())["client_secret"] == ["s:cret ü"]
    public = Client("console", "", CLIENT.redirect_uri, (), "sub")
    headers, body = token_request(METADATA, public, ATTEMPT, "c")
    assert "authorization" not in headers
    assert "client_secret" not in parse_qs(body.decode())


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"keys": 7}', b'{"keys": []}', b'{"keys": [{"kty": "RSA"}]}', b'{"keys": [1]}']
)
def test_what_are_no_keys_is_refused(document: bytes) -> None:
    with pytest.raises(OIDCError, match=r"^the provider's keys are not understood$"):
        read_keys(document)


@pytest.mark.parametrize("document", [b"", b"{}", b'{"id_token": 7}', b'{"access_token": "planted"}'])
def test_an_answer_without_an_id_token_is_refused(document: bytes) -> None:
    with pytest.raises(OIDCError, match=r"^the provider's answer has no ID token$"):
        read_token_answer(document)
