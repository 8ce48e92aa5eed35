"""OpenAI's embeddings: the client decides the form of the vectors, whatever the provider answers."""

import base64
import json
import struct
from typing import Any

import msgspec
import pytest

from trunkline.core import limits
from trunkline.core.errors import ErrorType, FaultError
from trunkline.core.usage import Units
from trunkline.protocol.dialect import ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import EndpointCall, Provider
from trunkline.protocol.endpoints.embeddings import OpenAIEmbeddings
from trunkline.protocol.endpoints.vectors import VectorError, VectorForm, asked_form, at_unit_length, in_form
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.tokens import count_text
from trunkline.protocol.upstream_error import RetryClass
from trunkline.protocol.vendor import VendorOptions

ENDPOINT = OpenAIEmbeddings()
OPENAI = Provider("openai", "up", "public", VendorOptions(), RequestRules())
GEMINI = Provider("gemini", "gemini-embedding-001", "public", VendorOptions(), RequestRules())


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def answer(*vectors: object, **members: Any) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return json.dumps({"object": "list", "data": data, "model": "up", "usage": usage, **members}).encode()


def opened(body: object, provider: Provider = OPENAI) -> EndpointCall:
    source = body if isinstance(body, bytes) else json.dumps(body).encode()
    ENDPOINT.read_head(source, "application/json")
    return ENDPOINT.open(source, "application/json", provider)


def read(call: EndpointCall, body: bytes) -> tuple[WholeAnswer, bytes]:
    assert call.whole is not None
    assert call.stream is None
    return call.whole(body)


# --- the request ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["text", "", ["a", "b"], [1, 2], [[1], [2, 3]], [{"text": "x"}]])
def test_every_form_of_input_is_read(given: object) -> None:
    body = json.dumps({"input": given, "model": "m", "dimensions": 3, "encoding_format": "base64"}).encode()
    assert ENDPOINT.read_head(body, "application/json") == ClientRequest("m", stream=False)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "m"}, "input"),
        ({"model": "m", "input": None}, "input"),
        ({"model": "m", "input": []}, "input"),
        ({"model": "m", "input": 5}, "input"),
        ({"model": "m", "input": {}}, "input"),
        ({"input": "x"}, "model"),
        ({"input": "x", "model": ""}, "model"),
        ({"input": "x", "model": "m", "dimensions": 0}, "dimensions"),
        ({"input": "x", "model": "m", "dimensions": "3"}, "dimensions"),
        ({"input": "x", "model": "m", "encoding_format": 3}, "encoding_format"),
    ],
)
def test_a_wrong_field_is_named(body: object, param: str) -> None:
    with pytest.raises(FaultError) as caught:
        ENDPOINT.read_head(json.dumps(body).encode(), "")
    assert (caught.value.fault.type, caught.value.fault.param) == (ErrorType.CLIENT_BAD_REQUEST, param)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"input":"\xff","model":"m"}'])
def test_what_is_no_object_is_bad_json(body: bytes) -> None:
    with pytest.raises(FaultError) as caught:
        ENDPOINT.read_head(body, "")
    assert caught.value.fault.type is ErrorType.CLIENT_BAD_JSON


def test_the_body_passes_untouched_where_the_model_needs_no_change() -> None:
    body = b'{ "model":"public", "input":"x", "encoding_format":"base64","user":"u", "new":1e3}'
    same = msgspec.structs.replace(OPENAI, model="public")
    call = opened(body, same)
    assert call.body is body
    assert (call.call.path, call.content_type, call.answer_type, call.fidelity) == (
        "/embeddings",
        "application/json",
        "application/json",
        "",
    )


def test_only_model_private_fields_and_rules_change() -> None:
    body = b'{"models":["x"], "model": "public", "input":[1, 2],"dimensions":8 ,"encoding_format":"base64"}'
    rules = RequestRules(drop=("encoding_format",), set={"truncate": b"true"})
    call = opened(body, msgspec.structs.replace(OPENAI, rules=rules))
    assert call.body == b'{"truncate":true,"model": "up", "input":[1, 2],"dimensions":8}'


def test_a_null_format_is_never_sent_on() -> None:
    call = opened(b'{"model":"up","input":"x","encoding_format":null}')
    assert call.body == b'{"model":"up","input":"x"}'
    assert read(call, answer([1.5]))[1] == answer([1.5], model="public")


def test_azures_older_paths_name_the_deployment() -> None:
    azure = Provider("azure", "my/deployment", "public", VendorOptions(api_version="2024-10-21"), RequestRules())
    assert opened({"model": "public", "input": "x"}, azure).call.path == (
        "/openai/deployments/my%2Fdeployment/embeddings?api-version=2024-10-21"
    )
    newer = msgspec.structs.replace(azure, options=VendorOptions())
    assert opened({"model": "public", "input": "x"}, newer).call.path == "/openai/v1/embeddings"


@pytest.mark.parametrize("dialect", ["anthropic", "openai-responses"])
def test_a_provider_without_embeddings_is_the_clients_choice_of_model(dialect: str) -> None:
    with pytest.raises(FaultError) as caught:
        opened({"model": "m", "input": "x"}, msgspec.structs.replace(OPENAI, dialect=dialect))
    fault = caught.value.fault
    assert (fault.type, fault.param) == (ErrorType.CLIENT_BAD_REQUEST, "model")
    assert fault.message.startswith("This model's provider offers no embeddings.")


# --- the answer's form ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "given"), [("base64", packed(0.5, -2.0)), ("float", [0.5, -2.0]), (None, [0.5, -2])])
def test_an_answer_in_the_asked_form_keeps_every_byte_but_the_model(asked: str | None, given: object) -> None:
    call = opened({"model": "m", "input": "x", "encoding_format": asked})
    body = answer(given).replace(b'"up"', b' "up" ')
    whole, shown = read(call, body)
    assert shown == body.replace(b'"up"', b'"public"')
    assert whole == WholeAnswer(Units(input=5), 0, None)


def test_an_answer_of_the_same_name_is_the_very_same_object() -> None:
    body = answer([0.5])
    call = opened({"model": "m", "input": "x"}, msgspec.structs.replace(OPENAI, public_model="up"))
    assert read(call, body)[1] is body


def test_floats_become_the_base64_that_an_sdk_decodes() -> None:
    call = opened({"model": "m", "input": ["x", "y"], "encoding_format": "base64"})
    body = (
        b'{"data":[{"index":0,"vendor":1.50,"embedding":[0.1, 2,-3e-2]} ,{"embedding":[1e0,0,0],"index":1}],'
        b'"model":"up","usage":{"prompt_tokens":5}}'
    )
    first, second = packed(0.1, 2, -0.03).encode(), packed(1, 0, 0).encode()
    assert read(call, body)[1] == (
        b'{"data":[{"index":0,"vendor":1.50,"embedding":"' + first + b'"},{"embedding":"' + second + b'","index":1}],'
        b'"model":"public","usage":{"prompt_tokens":5}}'
    )


@pytest.mark.parametrize("asked", ["float", None])
def test_base64_becomes_floats_for_a_client_that_asked_for_them(asked: str | None) -> None:
    call = opened({"model": "m", "input": "x", "encoding_format": asked})
    whole, shown = read(call, answer(packed(0.5, -2.0, 1 / 3)))
    assert whole.error is None
    assert json.loads(shown)["data"][0]["embedding"] == [0.5, -2.0, struct.unpack("<f", struct.pack("<f", 1 / 3))[0]]


def test_only_vectors_in_the_wrong_form_are_converted() -> None:
    call = opened({"model": "m", "input": ["x", "y"], "encoding_format": "float"})
    _, shown = read(call, b'{"data":[{"embedding":[0.10]},{"embedding":"AACAPw=="}]}')
    assert shown == b'{"data":[{"embedding":[0.10]},{"embedding":[1.0]}]}'


def test_a_vendors_own_format_is_left_alone() -> None:
    call = opened({"model": "m", "input": "x", "encoding_format": "ubinary"})
    body = answer([1, 255], model="public")
    assert call.body.endswith(b'"encoding_format": "ubinary"}')
    assert read(call, body)[1] == body


@pytest.mark.parametrize("vector", [[[0.5], [0.25]], None, {"indices": [1]}])
def test_what_is_no_vector_passes(vector: object) -> None:
    call = opened({"model": "m", "input": "x", "encoding_format": "base64"})
    body = answer(vector, model="public")
    assert read(call, body)[1] == body


# --- what is no answer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"data":[]}',
        b'{"data":{}}',
        b'{"data":[5]}',
        answer([1])[:-1],
        answer("?"),
        answer("AAA="),
        answer(packed(float("nan"))),
        answer([1]) + b"x",
        b'{"data":[{"embedding":[1]}],"x":"\xff"}',
        b"[" * 100_000,
        b'{"data":"\\ud83d\\ude00"',
        b'{"data":"\\\\ud83d"',
    ],
)
def test_no_answer_is_invalid_and_may_be_tried_elsewhere(body: bytes) -> None:
    whole, shown = read(opened({"model": "m", "input": "x"}), body)
    assert whole.error is not None
    assert (whole.error.fault.type, whole.error.cls) == (ErrorType.UPSTREAM_INVALID, RetryClass.OTHER_CHANNEL)
    assert (whole.units, shown) == (None, b"")


def test_a_number_too_large_for_base64_is_invalid() -> None:
    call = opened({"model": "m", "input": "x", "encoding_format": "base64"})
    whole, _ = read(call, answer([1e39]))
    assert whole.error is not None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"message":"slow down","code":429}}', ErrorType.UPSTREAM_RATE_LIMITED),
        (b'{"object":"error","message":"boom","code":500}', ErrorType.UPSTREAM_ERROR),
        (b'{"error":"overloaded","data":5}', ErrorType.UPSTREAM_OVERLOADED),
    ],
)
def test_an_error_inside_a_200_is_that_error(body: bytes, kind: ErrorType) -> None:
    whole, _ = read(opened({"model": "m", "input": "x"}), body)
    assert whole.error is not None
    assert whole.error.fault.type is kind


# --- usage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "units"),
    [
        ({"prompt_tokens": 8, "total_tokens": 9}, Units(input=8)),
        ({"total_tokens": 9}, Units(input=9)),
        ({"prompt_tokens": 0, "total_tokens": 0}, None),
        ({"prompt_tokens": -1}, None),
        ({"prompt_tokens": "8"}, None),
        ({"prompt_tokens": 8.0}, Units(input=8)),
        ({"prompt_tokens": 10**12}, None),
        ([8], None),
        (None, None),
    ],
)
def test_usage_is_read_or_left_to_be_counted(usage: object, units: Units | None) -> None:
    whole, _ = read(opened({"model": "m", "input": "x"}), answer([1], usage=usage))
    assert whole == WholeAnswer(units, 0, None)


def test_input_is_counted_in_all_its_forms() -> None:
    def count(given: object) -> int:
        return ENDPOINT.count_input(json.dumps({"model": "m", "input": given, "user": "not counted"}).encode())

    assert count("hello world") == count_text("hello world")
    assert count(["hello", "world"]) == count_text("world\nhello")
    assert count([5, 6, 7]) == 3
    assert count([[5, 6, 7], [8]]) == 4
    assert count([{"text": "hello"}, {"image": "A" * 50}]) == count_text("hello")


@pytest.mark.parametrize("body", [b"", b"\xff", b"[1]", b'{"input":', b"[" * 200_000, b'{"input":"\\ud83d"}'])
def test_counting_never_raises(body: bytes) -> None:
    assert ENDPOINT.count_input(body) >= 0


def test_counting_is_bounded() -> None:
    body = b'{"input":"' + b"word " * (limits.COUNT_BYTES_MAX // 5) + b'"}'
    assert ENDPOINT.count_input(body) == len(body) // 4


# --- Gemini --------------------------------------------------------------------------------------------------


def test_texts_become_a_batch_for_gemini() -> None:
    body = {"model": "public", "input": ["a", "é"], "dimensions": 256, "encoding_format": "base64"}
    call = opened(body, GEMINI)
    assert call.call.path == "/models/gemini-embedding-001:batchEmbedContents"
    assert (
        call.body
        == (
            '{"requests":['
            '{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"a"}]},"outputDimensionality":256},'
            '{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"é"}]},"outputDimensionality":256}]}'
        ).encode()
    )
    assert call.fidelity == ""


def test_a_single_text_is_a_batch_of_one_and_rules_apply() -> None:
    provider = msgspec.structs.replace(GEMINI, model="tunedModels/x", rules=RequestRules(set={"a": b"1"}))
    call = opened({"model": "m", "input": "x"}, provider)
    assert call.call.path == "/tunedModels/x:batchEmbedContents"
    assert call.body == b'{"a":1,"requests":[{"model":"tunedModels/x","content":{"parts":[{"text":"x"}]}}]}'


def test_what_gemini_has_no_word_for_is_named() -> None:
    body = {"model": "m", "input": "x", "user": "u", "truncate": 1, "models": ["y"], "encoding_format": "float"}
    assert opened(body, GEMINI).fidelity == "dropped=user,truncate"


@pytest.mark.parametrize("given", [[1, 2], [[1]], [{"text": "x"}], ["x", 1]])
def test_token_ids_do_not_go_to_another_tokenizer(given: object) -> None:
    with pytest.raises(FaultError) as caught:
        opened({"model": "m", "input": given}, GEMINI)
    fault = caught.value.fault
    assert (fault.type, fault.param, fault.code) == (ErrorType.CLIENT_BAD_REQUEST, "input", "unsupported_parameter")


def test_half_an_emoji_reaches_gemini_as_a_replacement() -> None:
    call = opened(b'{"model":"m","input":"a\\ud83d"}', GEMINI)
    assert json.loads(call.body)["requests"][0]["content"]["parts"] == [{"text": "a\ufffd"}]


def test_geminis_answer_is_shown_in_openais_form() -> None:
    call = opened({"model": "public", "input": ["a", "b"]}, GEMINI)
    body = b'{"embeddings":[{"values":[0.10, 2]},{"values":[3e0]}],"usageMetadata":{"promptTokenCount":7}}'
    whole, shown = read(call, body)
    assert whole == WholeAnswer(Units(input=7), 0, None)
    assert shown == (
        b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10, 2]},'
        b'{"object":"embedding","index":1,"embedding":[3e0]}],'
        b'"model":"public","usage":{"prompt_tokens":7,"total_tokens":7}}'
    )


def test_geminis_vectors_are_packed_and_its_tokens_counted_where_it_says_none() -> None:
    call = opened({"model": "public", "input": "hello world", "encoding_format": "base64"}, GEMINI)
    whole, shown = read(call, b'{"embeddings":[{"values":[0.5]}]}')
    assert whole == WholeAnswer(None, 0, None)
    tree = json.loads(shown)
    assert tree["data"][0]["embedding"] == packed(0.5)
    assert tree["usage"]["prompt_tokens"] == count_text("hello world")


@pytest.mark.parametrize(("asked", "shown"), [("float", [0.6, -0.8]), ("base64", packed(0.6, -0.8))])
def test_geminis_reduced_vectors_get_the_length_of_openais(asked: str, shown: object) -> None:
    body = b'{"embeddings":[{"values":[0.3, -0.4]},{"values":[0.60, 0.8e0]}]}'
    call = opened({"model": "m", "input": ["a", "b"], "dimensions": 2, "encoding_format": asked}, GEMINI)
    whole, converted = read(call, body)
    assert whole.error is None
    assert json.loads(converted)["data"][0]["embedding"] == shown
    # What has it already is not touched, nor is anything at the model's own size.
    if asked == "float":
        assert b"[0.60, 0.8e0]" in converted
        _, full = read(opened({"model": "m", "input": ["a", "b"], "encoding_format": asked}, GEMINI), body)
        assert b"[0.3, -0.4]" in full


@pytest.mark.parametrize(
    "body",
    [
        b'{"embeddings":[{"values":[1]}]}',
        b'{"embeddings":[{"values":[1]},{}]}',
        b'{"embeddings":[{"values":[1]},{"values":5}]}',
        b"{}",
        b"[",
    ],
)
def test_a_vector_too_few_would_give_all_others_to_the_wrong_texts(body: bytes) -> None:
    whole, shown = read(opened({"model": "m", "input": ["a", "b"]}, GEMINI), body)
    assert whole.error is not None
    assert (whole.error.fault.type, shown) == (ErrorType.UPSTREAM_INVALID, b"")


def test_geminis_error_inside_a_200_is_that_error() -> None:
    body = b'{"error":{"code":503,"status":"UNAVAILABLE","message":"overloaded"}}'
    whole, _ = read(opened({"model": "m", "input": "a"}, GEMINI), body)
    assert whole.error is not None
    assert whole.error.fault.type is ErrorType.UPSTREAM_OVERLOADED


# --- vectors -------------------------------------------------------------------------------------------------


def test_bytes_are_little_endian_floats() -> None:
    assert in_form(b"[1, -2]", VectorForm.BASE64) == b'"AACAPwAAAMA="'
    assert in_form(b'"AACAPwAAAMA="', VectorForm.FLOAT) == b"[1.0,-2.0]"
    assert in_form(b'""', VectorForm.FLOAT) == b"[]"
    assert in_form(b"[]", VectorForm.BASE64) == b'""'


@pytest.mark.parametrize("vector", [b'"AACAPwA="', b'"AACA Pw=="', b'"\xff"', b'"', b'"AACAfw=="'])
def test_broken_base64_is_no_vector(vector: bytes) -> None:
    with pytest.raises(VectorError):
        in_form(vector, VectorForm.FLOAT)


@pytest.mark.parametrize("vector", [b"[]", b"[0, 0.0]", b'["x"]', b"[[1, 2]]", b"[0.99999]", b'"AACAPw=="'])
def test_what_has_no_length_or_the_right_one_is_left_as_it_is(vector: bytes) -> None:
    assert at_unit_length(vector) is vector


def test_a_vector_is_scaled_to_length_one() -> None:
    assert at_unit_length(b"[3, 4]") == b"[0.6,0.8]"
    assert at_unit_length(b'"AABAQAAAgEA="') == b"[0.6,0.8]"
    assert json.loads(at_unit_length(b"[3e-200, 4e-200]")) == pytest.approx([0.6, 0.8])
    with pytest.raises(VectorError):
        at_unit_length(b'"AAA"')


def test_a_missing_format_is_float() -> None:
    assert [asked_form(name) for name in (None, "float", "base64", "int8")] == [
        VectorForm.FLOAT,
        VectorForm.FLOAT,
        VectorForm.BASE64,
        None,
    ]
