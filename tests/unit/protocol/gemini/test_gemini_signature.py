"""Proofs as thought signatures: bytes to Google's SDKs, which decode and encode them."""

import base64

import pytest

from trunkline.protocol.gemini import signature
from trunkline.protocol.model import Proof

FOREIGN = Proof("anthropic", "EqoBCkgIARABGAIiQ==/+")


def through_the_sdk(carried: str) -> str:
    return base64.urlsafe_b64encode(base64.b64decode(carried, validate=True)).decode()


def test_geminis_own_proof_is_shown_as_it_is() -> None:
    own = Proof("gemini", "AbCd")
    assert signature.shown(own) == "AbCd"
    assert signature.read("AbCd") == own


@pytest.mark.parametrize("data", ["", "x", "xy", "xyz", "\u00fc" * 50, FOREIGN.data])
def test_a_foreign_proof_survives_the_sdks_decoding(data: str) -> None:
    proof = Proof("openai-responses", data)
    shown = signature.shown(proof)
    assert signature.read(shown) == proof
    assert signature.read(through_the_sdk(shown)) == proof
    assert signature.read(shown.rstrip("=")) == proof


@pytest.mark.parametrize("carried", [None, "", "skip_thought_signature_validator"])
def test_nothing_and_a_placeholder_are_no_proof(carried: str | None) -> None:
    assert signature.read(carried) is None


@pytest.mark.parametrize("inner", [b"tl1.", b"tl1.!!", b"tl1.AAAA", b"tl1\xff", b"tl1-x"])
def test_what_only_looks_like_ours_is_geminis_own(inner: bytes) -> None:
    carried = base64.b64encode(inner).decode()
    assert signature.read(carried) == Proof("gemini", carried)
