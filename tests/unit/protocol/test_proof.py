"""Proofs of reasoning on their way through clients of other dialects."""

import re

import pytest

from trunkline.protocol.model import Proof
from trunkline.protocol.names import ANTHROPIC, GEMINI
from trunkline.protocol.proof import TAG, presented, unwrap, wrap


def test_a_proof_comes_back_as_it_was() -> None:
    proof = Proof(ANTHROPIC, "EqQBCkYIBRgCKkBtL+/=ä")
    carried = wrap(proof)
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", carried)
    assert unwrap(carried, GEMINI) == proof


def test_what_has_no_tag_is_the_clients_own() -> None:
    assert unwrap("EqQBCkYI", GEMINI) == Proof(GEMINI, "EqQBCkYI")


@pytest.mark.parametrize("carried", [TAG, TAG + "%%%", TAG + "AAAA", TAG + "a"])
def test_what_only_looks_tagged_is_the_clients_own(carried: str) -> None:
    assert unwrap(carried, GEMINI) == Proof(GEMINI, carried)


def test_ones_own_dialect_sees_its_proof_bare() -> None:
    proof = Proof(GEMINI, "sig")
    assert presented(proof, GEMINI) == "sig"
    assert presented(proof, ANTHROPIC) == wrap(proof)
