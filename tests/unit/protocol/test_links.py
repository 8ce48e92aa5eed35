"""Where each dialect names pictures and documents by URL, and a body with them in it."""

import json
from typing import Any

import pytest

from trunkline.core import limits
from trunkline.protocol.links import DOCUMENTS, PDF, PICTURES, Link, inline
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.registry import CLIENTS, LINKS

URL = "https://example.com/a.png"
TEXT = {"type": "text", "text": f'Look at "image_url": "{URL}"'}
DATA_URL = "data:image/png;base64,QUJD"


def found(dialect: str, body: object) -> list[Link]:
    return LINKS[dialect](body if isinstance(body, bytes) else json.dumps(body).encode())


def inlined(dialect: str, body: object, media_type: str = "image/png") -> Any:
    source = json.dumps(body, indent=1).encode()
    links = LINKS[dialect](source)
    assert links
    return json.loads(inline(source, [(link, media_type, b"QUJD") for link in links]))


def user(*parts: object) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": list(parts)}]}


def google(*parts: object) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "Hi"}, *parts]}]}


def items(*parts: object) -> dict[str, Any]:
    return {"model": "m", "input": [{"role": "user", "content": list(parts)}]}


CHAT_IMAGE = {"type": "image_url", "image_url": {"url": URL, "detail": "low"}}
ANTHROPIC_IMAGE = {"type": "image", "source": {"type": "url", "url": URL}, "cache_control": {"type": "ephemeral"}}
ANTHROPIC_DATA = {"type": "base64", "media_type": "image/png", "data": "QUJD"}
GEMINI_DATA = {"mimeType": "image/png", "data": "QUJD"}

CASES: dict[str, tuple[str, Any, str, frozenset[str], Any]] = {
    "chat image": (
        OPENAI_CHAT,
        user(TEXT, CHAT_IMAGE),
        "messages[1].content[1].image_url.url",
        PICTURES,
        user(TEXT, {"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}}),
    ),
    "chat image without an object": (
        OPENAI_CHAT,
        user({"type": "image_url", "image_url": URL}),
        "messages[1].content[0].image_url",
        PICTURES,
        user({"type": "image_url", "image_url": DATA_URL}),
    ),
    "chat file": (
        OPENAI_CHAT,
        user({"type": "file", "file": {"file_data": URL, "filename": "a.pdf"}}),
        "messages[1].content[0].file.file_data",
        DOCUMENTS,
        user({"type": "file", "file": {"file_data": DATA_URL, "filename": "a.pdf"}}),
    ),
    "chat image of an earlier answer": (
        OPENAI_CHAT,
        {"messages": [{"role": "assistant", "content": None, "images": [CHAT_IMAGE]}]},
        "messages[0].images[0].image_url.url",
        PICTURES,
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": None,
                    "images": [{"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}}],
                }
            ]
        },
    ),
    "responses image": (
        OPENAI_RESPONSES,
        items({"type": "input_image", "image_url": URL, "detail": "high"}),
        "input[0].content[0].image_url",
        PICTURES,
        items({"type": "input_image", "image_url": DATA_URL, "detail": "high"}),
    ),
    "responses file": (
        OPENAI_RESPONSES,
        items({"type": "input_file", "file_url": URL}),
        "input[0].content[0].file_url",
        DOCUMENTS,
        items({"type": "input_file", "filename": "document.pdf", "file_data": DATA_URL}),
    ),
    "responses file with a name": (
        OPENAI_RESPONSES,
        items({"type": "input_file", "filename": "b.pdf", "file_url": URL}),
        "input[0].content[0].file_url",
        DOCUMENTS,
        items({"type": "input_file", "filename": "b.pdf", "file_data": DATA_URL}),
    ),
    "responses result": (
        OPENAI_RESPONSES,
        {
            "input": [
                {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": URL}]}
            ]
        },
        "input[0].output[0].image_url",
        PICTURES,
        {
            "input": [
                {
                    "type": "function_call_output",
                    "call_id": "c",
                    "output": [{"type": "input_image", "image_url": DATA_URL}],
                }
            ]
        },
    ),
    "anthropic image": (
        ANTHROPIC,
        user(TEXT, ANTHROPIC_IMAGE),
        "messages[1].content[1].source.url",
        PICTURES,
        user(TEXT, {**ANTHROPIC_IMAGE, "source": ANTHROPIC_DATA}),
    ),
    "anthropic document": (
        ANTHROPIC,
        user({"type": "document", "source": {"url": URL, "type": "url"}, "title": "T"}),
        "messages[1].content[0].source.url",
        DOCUMENTS,
        user({"type": "document", "source": ANTHROPIC_DATA, "title": "T"}),
    ),
    "anthropic result": (
        ANTHROPIC,
        user({"type": "tool_result", "tool_use_id": "t", "content": [TEXT, ANTHROPIC_IMAGE]}),
        "messages[1].content[0].content[1].source.url",
        PICTURES,
        user(
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [TEXT, {**ANTHROPIC_IMAGE, "source": ANTHROPIC_DATA}],
            }
        ),
    ),
    "anthropic image in a document": (
        ANTHROPIC,
        user({"type": "document", "source": {"type": "content", "content": [ANTHROPIC_IMAGE]}}),
        "messages[1].content[0].source.content[0].source.url",
        PICTURES,
        user(
            {
                "type": "document",
                "source": {"type": "content", "content": [{**ANTHROPIC_IMAGE, "source": ANTHROPIC_DATA}]},
            }
        ),
    ),
    "gemini image": (
        GEMINI,
        google({"fileData": {"fileUri": URL, "mimeType": "image/png"}, "mediaResolution": {}}),
        "contents[0].parts[1].fileData.fileUri",
        PICTURES | DOCUMENTS,
        google({"inlineData": GEMINI_DATA, "mediaResolution": {}}),
    ),
    "gemini in snake case, without lists and types": (
        GEMINI,
        {"contents": {"parts": {"file_data": {"file_uri": URL}}}},
        "contents.parts.file_data.file_uri",
        PICTURES | DOCUMENTS,
        {"contents": {"parts": {"inlineData": GEMINI_DATA}}},
    ),
    "gemini result": (
        GEMINI,
        google({"functionResponse": {"name": "f", "parts": [{"fileData": {"fileUri": URL}}]}}),
        "contents[0].parts[1].functionResponse.parts[0].fileData.fileUri",
        PICTURES | DOCUMENTS,
        google({"functionResponse": {"name": "f", "parts": [{"inlineData": GEMINI_DATA}]}}),
    ),
}


@pytest.mark.parametrize(("dialect", "body", "param", "accepts", "becomes"), CASES.values(), ids=CASES)
def test_links_are_found_and_become_what_they_led_to(
    dialect: str, body: Any, param: str, accepts: frozenset[str], becomes: Any
) -> None:
    assert [(link.url, link.param, link.accepts) for link in found(dialect, body)] == [(URL, param, accepts)]
    assert inlined(dialect, body) == becomes


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_inline_is_read_as_such(case: tuple[str, Any, str, frozenset[str], Any]) -> None:
    dialect, body, _, accepts, _ = case
    media_type = PDF if accepts == DOCUMENTS else "image/png"
    if dialect == OPENAI_RESPONSES and "output" in body["input"][0]:
        call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
        body = {"input": [call, *body["input"]]}
    read = str(CLIENTS[dialect].read_request(json.dumps(inlined(dialect, body, media_type)).encode(), stream=False))
    assert "data='QUJD'" in read
    assert f"url='{URL}'" not in read


NONE: dict[str, tuple[str, Any]] = {
    "a data URL": (OPENAI_CHAT, user({"type": "image_url", "image_url": {"url": DATA_URL}})),
    "another scheme": (OPENAI_CHAT, user({"type": "image_url", "image_url": {"url": "ms://file"}})),
    "something that begins like one": (OPENAI_CHAT, user({"type": "image_url", "image_url": {"url": "httpd://x"}})),
    "a text": (OPENAI_CHAT, user(TEXT)),
    "a tool": (OPENAI_CHAT, {**user(TEXT), "tools": [{"image_url": {"url": URL}}], "metadata": {"url": URL}}),
    "nothing that can be read": (OPENAI_CHAT, b'{"messages":[{"content":[{"image_url":{"url":"http://a"}}]'),
    "no object": (OPENAI_CHAT, b'[{"image_url":{"url":"http://a"}}]'),
    "content of another kind": (OPENAI_CHAT, b'{"messages":7,"image_url":"http://a"}'),
    "base64": (ANTHROPIC, user({"type": "image", "source": ANTHROPIC_DATA})),
    "a server of tools": (ANTHROPIC, {**user(TEXT), "mcp_servers": [{"type": "url", "url": URL}]}),
    "a search result": (ANTHROPIC, user({"type": "search_result", "source": URL, "content": [TEXT], "url": URL})),
    "a file by its id": (OPENAI_RESPONSES, items({"type": "input_image", "file_id": "file-1"})),
    "an input that is a text": (OPENAI_RESPONSES, {"input": "Hi", "image_url": URL}),
    "an uploaded file": (
        GEMINI,
        google({"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}}),
    ),
    "a video by its host": (GEMINI, google({"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}})),
    "a video by its type": (GEMINI, google({"fileData": {"fileUri": URL, "mimeType": "video/mp4"}})),
    "a sound": (GEMINI, google({"fileData": {"fileUri": URL, "mimeType": "audio/mp3"}})),
    "a bucket": (GEMINI, google({"fileData": {"fileUri": "gs://bucket/a.png", "mimeType": "image/png"}})),
    "a URI that is none": (GEMINI, google({"fileData": {"fileUri": "https", "mimeType": "image/png"}})),
}


@pytest.mark.parametrize(("dialect", "body"), NONE.values(), ids=NONE)
def test_what_is_no_link_is_none(dialect: str, body: Any) -> None:
    assert found(dialect, body) == []


def test_every_other_byte_stays() -> None:
    body = (
        rb' { "messages" : [ {"role":"user","content":[ {"type":"image_url","image_url":{ "url" : "https:\/\/a\/1" } },'
        rb'{"type":"text","text":"cut \ud83d"} , {"type":"image_url","image_url":"HTTP://b\u002f2"}]}],"x":1.50} '
    )
    links = found(OPENAI_CHAT, body)
    assert [link.url for link in links] == ["https://a/1", "HTTP://b/2"]
    changed = inline(body, [(links[1], "image/gif", b"R0lG"), (links[0], "image/png", b"iVBO")])
    assert changed == body.replace(rb'"https:\/\/a\/1"', b'"data:image/png;base64,iVBO"').replace(
        rb'"HTTP://b\u002f2"', b'"data:image/gif;base64,R0lG"'
    )


def test_of_a_repeated_member_the_last_one_counts() -> None:
    body = b'{"messages":[{"content":[{"image_url":{"url":"http://a/1","url":"http://a/2"}}]}]}'
    assert [(link.url, body[link.start : link.end]) for link in found(OPENAI_CHAT, body)] == [
        ("http://a/2", b'"http://a/2"')
    ]


def test_no_more_are_looked_for_than_are_fetched() -> None:
    body = user(*[CHAT_IMAGE] * (2 * limits.FETCHES_PER_JOB_MAX))
    assert len(found(OPENAI_CHAT, body)) == limits.FETCHES_PER_JOB_MAX + 1


def test_contents_inside_contents_come_to_an_end() -> None:
    block: dict[str, Any] = ANTHROPIC_IMAGE
    depths = []
    for _ in range(10):
        depths.append(len(found(ANTHROPIC, user(block))))
        block = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    assert depths == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]


def test_a_large_inline_picture_beside_a_link_is_left_alone() -> None:
    large = "data:image/png;base64," + "A" * 1_000_000
    body = json.dumps(user({"type": "image_url", "image_url": {"url": large}}, CHAT_IMAGE)).encode()
    (link,) = found(OPENAI_CHAT, body)
    assert link.param == "messages[1].content[1].image_url.url"
    assert json.loads(body[link.start : link.end]) == URL
