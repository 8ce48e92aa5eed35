"""What makes a conversation: the same in each of its turns, and another one in another conversation."""

import json
from typing import Any, NamedTuple

import msgspec
import pytest

from trunkline.protocol import conversation
from trunkline.protocol.conversation import name_digest, opening_digest
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.names import ANTHROPIC, CONVERSATIONAL, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.registry import CLIENTS

TINY = {"type": "text", "text": "Hi."}
MARK = {"cache_control": {"type": "ephemeral"}}


def read(dialect: str, body: dict[str, Any], *, spaced: bool = False) -> ClientRequest:
    separators = (", ", ": ") if spaced else (",", ":")
    return CLIENTS[dialect].read_head(
        json.dumps({"model": "m", "max_tokens": 9, **body}, separators=separators).encode()
    )


class Form(NamedTuple):
    """How a dialect writes a conversation."""

    turns: str
    instructions: str
    answerer: str
    content: str

    def body(self, instructions: str, *texts: str) -> dict[str, Any]:
        said: list[Any] = []
        for index, text in enumerate(texts):
            role = self.answerer if index % 2 else "user"
            said.append({"role": role, self.content: [{"text": text}] if self.content == "parts" else text})
        match self.instructions:
            case "":
                return {self.turns: [{"role": "system", "content": instructions}, *said]}
            case "systemInstruction":
                return {self.turns: said, self.instructions: {"parts": [{"text": instructions}]}}
            case _:
                return {self.turns: said, self.instructions: instructions}


FORMS = {
    OPENAI_CHAT: Form("messages", "", "assistant", "content"),
    OPENAI_RESPONSES: Form("input", "instructions", "assistant", "content"),
    ANTHROPIC: Form("messages", "system", "assistant", "content"),
    GEMINI: Form("contents", "systemInstruction", "model", "parts"),
}
every_dialect = pytest.mark.parametrize("dialect", CONVERSATIONAL)


# --- how it begins -------------------------------------------------------------------------------------------------


@every_dialect
@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize(
    "first",
    ["Hi.", 'Say "role": "user", and { or }, {', "你好 \\ \n", "x" * 100_000, '"' * 5000, "\\" * 4999 + "é" * 999],
    ids=["short", "like JSON", "escapes", "long", "quotes", "backslashes"],
)
def test_a_conversation_stays_itself_as_it_grows(dialect: str, first: str, *, spaced: bool) -> None:
    form = FORMS[dialect]
    texts = (first, "Hello.", "What is new?", "Nothing.", "Bye.")
    openings = {
        read(dialect, form.body("Be kind.", *texts[:count]), spaced=spaced).opening for count in (1, 2, 3, 4, 5)
    }
    assert len(openings) == 1
    assert openings != {0}


@every_dialect
def test_other_words_and_other_instructions_are_other_conversations(dialect: str) -> None:
    form, long = FORMS[dialect], "Be kind. " * 10_000
    bodies = [
        form.body("Be kind.", "Hi."),
        form.body("Be kind.", "Hi!"),
        form.body("Be nice.", "Hi."),
        form.body(long, "Hi."),
        form.body(long, "Hi!"),
        form.body(long, "Hi." * 100),
        form.body(long, "Hi." * 100 + "!"),
    ]
    assert len({read(dialect, body).opening for body in bodies}) == len(bodies)


@pytest.mark.parametrize("dialect", [OPENAI_CHAT, ANTHROPIC])
@pytest.mark.parametrize(
    "content",
    [[TINY], [{**TINY, **MARK}], [{**MARK, **TINY}], [TINY, {"type": "text", "text": "And you?"}]],
    ids=["list", "marked", "marked first", "two"],
)
def test_it_does_not_matter_how_the_first_words_are_written(dialect: str, content: object) -> None:
    plain = read(dialect, {"messages": [{"role": "user", "content": "Hi."}]})
    listed = read(dialect, {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": "a"}]})
    assert listed.opening == plain.opening != 0


def test_a_text_comes_back_as_a_list_in_responses() -> None:
    for text in ("Hi.", "x" * 100_000):
        first = read(OPENAI_RESPONSES, {"input": text, "instructions": "Be kind."})
        items = [{"role": "user", "content": text}, {"type": "reasoning", "summary": [], "encrypted_content": "e"}]
        second = read(
            OPENAI_RESPONSES, {"input": [*items, {"role": "user", "content": "On."}], "instructions": "Be kind."}
        )
        assert first.opening == second.opening != 0


@pytest.mark.parametrize(
    "message",
    [
        {"content": "Hi.", "role": "user"},
        {"content": "Hi {braces}.", "role": "user", "name": "x"},
        {"content": [TINY], "role": "user"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "f-1"}}]},
    ],
    ids=["role last", "role midway", "list before role", "type first", "image", "file"],
)
def test_members_may_stand_in_any_order(message: dict[str, Any]) -> None:
    first = read(OPENAI_CHAT, {"messages": [message]}).opening
    grown = [message, {"content": "Yes.", "role": "assistant"}, {"content": "Go on.", "role": "user"}]
    assert read(OPENAI_CHAT, {"messages": grown}).opening == first != 0
    other = json.loads(json.dumps(message).replace("Hi", "Ho").replace("QUJD", "QUJE").replace("f-1", "f-2"))
    assert read(OPENAI_CHAT, {"messages": [other]}).opening not in (first, 0)


def test_geminis_contents_need_no_role_and_no_list() -> None:
    content, answer = {"parts": [{"text": "Hi."}]}, {"role": "model", "parts": [{"text": "Hello."}]}
    alone = read(GEMINI, {"contents": content}).opening
    assert alone != 0
    assert read(GEMINI, {"contents": [content]}).opening == alone
    assert read(GEMINI, {"contents": [content, answer, content]}).opening == alone
    last = {"parts": [{"text": "Hi."}], "role": "user"}
    assert read(GEMINI, {"contents": [last]}).opening == read(GEMINI, {"contents": [last, answer, last]}).opening != 0


@pytest.mark.parametrize(
    "turns",
    [
        b"",
        b"[",
        b"null",
        b'"user"',
        b"[{}]",
        b'[{"role":"system","content":"Be kind."}]',
        b'[{"role":"user"}]',
        b'[{"role":"user","content":""}]',
        b'[{"role":"user","content":[]},{"role":"assistant","content":"a"}]',
        b'[{"role":"user","content":[{"type":"x"}]},{"content":"a","role":"assistant"}]',
        b'[{"role":"system","content":"Be kind."},{"role":"user","content":[]}]',
    ],
)
def test_without_words_of_a_user_there_is_no_conversation(turns: bytes) -> None:
    assert opening_digest(turns) == opening_digest(turns, b'"Be kind."') == 0


def test_what_counts_is_bounded() -> None:
    words, told = conversation.WORDS_BYTES_MAX, conversation.INSTRUCTIONS_BYTES_MAX

    def opening(text: str, instructions: str) -> int:
        return opening_digest(b'[{"role":"user","content":"%b"}]' % text.encode(), f'"{instructions}"'.encode())

    assert opening("x" * words + "a", "") == opening("x" * words + "b", "")
    assert opening("x" * (words // 2) + "a", "") != opening("x" * (words // 2) + "b", "")
    assert opening("x", "y" * told + "a") == opening("x", "y" * told + "b")
    far = b'[{"role":"system","content":"%b"},{"role":"user","content":"x"}]'
    assert opening_digest(far % (b"y" * (conversation.SEARCH_BYTES_MAX - 100))) != 0
    assert opening_digest(far % (b"y" * conversation.SEARCH_BYTES_MAX)) == 0


# --- its name ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [OPENAI_CHAT, OPENAI_RESPONSES])
def test_the_cache_key_names_the_conversation(dialect: str) -> None:
    form = FORMS[dialect]

    def named(words: str, **fields: object) -> ClientRequest:
        return read(dialect, {**form.body("Be kind.", words), **fields})

    assert named("a", prompt_cache_key="k").named == named("b", prompt_cache_key="k").named != 0
    assert named("a", prompt_cache_key="k").named != named("a", prompt_cache_key="l").named
    for nothing in ({}, {"prompt_cache_key": None}, {"prompt_cache_key": ""}, {"prompt_cache_key": 5}, {"user": "u"}):
        asked = named("a", **nothing)
        assert (asked.named, asked.opening) == (0, named("a").opening)


@pytest.mark.parametrize(
    "user",
    ["user_5f_account__session_1b", '{"device_id":"d","account_uuid":"","session_id":"1b"}'],
    ids=["older", "newer"],
)
def test_a_session_in_anthropics_user_names_the_conversation(user: str) -> None:
    form = FORMS[ANTHROPIC]

    def asked(words: str, metadata: object) -> ClientRequest:
        return read(ANTHROPIC, {**form.body("Be kind.", words), "metadata": metadata})

    assert asked("a", {"user_id": user}).named == asked("b", {"user_id": user}).named != 0
    assert asked("a", {"user_id": user.replace("1b", "1c")}).named != asked("a", {"user_id": user}).named
    opening = read(ANTHROPIC, form.body("Be kind.", "a")).opening
    for metadata in ({"user_id": "5f"}, {"user_id": None}, {"user_id": 5}, {}, None, [], "session", {"session": "x"}):
        assert (asked("a", metadata).named, asked("a", metadata).opening) == (0, opening)


def test_a_long_name_counts_by_its_beginning() -> None:
    def named(name: str) -> int:
        return name_digest(msgspec.Raw(json.dumps(name).encode()))

    size = conversation.NAME_BYTES_MAX
    assert named("x" * size + "a") == named("x" * size + "b") != named("x" * (size // 2))
