"""What an operator gets wrong: one clear message each, an exit code that says whose fault it is, and no traceback."""

import subprocess
from pathlib import Path

import pytest

from tests.support.cli import CLI, COMMAND, TIMEOUT_S
from tests.support.surface import Surface
from trunkline.policy import keys

EXIT_USAGE = 64


@pytest.fixture(scope="module")
def cli(surface: Surface) -> CLI:
    """A CLI for which all is well."""
    return CLI.of(surface)


@pytest.fixture(scope="module")
def nowhere() -> str:
    """An address at which nothing listens, nor will: nobody is given such a port."""
    return "http://127.0.0.1:1"


# --- access -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("keys", "list"), ("apply", "-f", "x.yaml"), ("usage",)], ids=" ".join)
def test_no_admin_key(cli: CLI, command: tuple[str, ...]) -> None:
    said = cli.without("TRUNKLINE_ADMIN_KEY").fails(*command, code=EXIT_USAGE)
    assert "TRUNKLINE_ADMIN_KEY is not set" in said


def test_wrong_admin_key(cli: CLI) -> None:
    said = cli.having(TRUNKLINE_ADMIN_KEY="admin-who-is-none").fails("keys", "list")
    assert "admin key is missing or wrong" in said
    assert "admin-who-is-none" not in said


def test_console_is_down(cli: CLI, nowhere: str) -> None:
    said = cli.having(TRUNKLINE_CONSOLE_URL=nowhere).fails("models", "list")
    assert f"nothing listens at {nowhere}" in said
    assert "TRUNKLINE_CONSOLE_URL" in said


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8081", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://no.such.host.invalid"]
)
def test_console_address_is_none(cli: CLI, url: str) -> None:
    assert "TRUNKLINE_CONSOLE_URL" in cli.having(TRUNKLINE_CONSOLE_URL=url).fails("accounts", "list")


def test_what_answers_is_no_console(cli: CLI, surface: Surface) -> None:
    for url in (surface.ready.base_url, surface.ready.upstream_url, surface.ready.nats_url.replace("nats", "http")):
        said = cli.having(TRUNKLINE_CONSOLE_URL=url).fails("channels", "list")
        assert "console" in said


# --- files --------------------------------------------------------------------------------------------------------


def test_every_fault_of_a_file_is_named(cli: CLI, tmp_path: Path, surface: Surface) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        """
channels:
  - name: "bad: one"
    dialect: esperanto
    base_url: ftp://example.org
    credentials: ["env:NOT_SET_ANYWHERE"]
    models: {}
    weight: -1
    groups: [unknown-group]
    timeouts: {connect_s: 0}
  - {name: [], colour: red, weight: heavy}
models:
  - {name: m, price: {input: -1}}
tiers: [{name: t, rpm: 0}]
accounts:
  - name: a
    tier: unknown-tier
    keys: [{name: k, secret: sk-tl-literal-but-malformed, allow_ips: [300.1.1.1]}]
  - {name: b, credit: lots, keys: [{name: k, expires: yesterday}]}
nonsense: 1
"""
    )
    said = cli.fails("apply", "-f", str(file), code=EXIT_USAGE)
    for place in ("dialect", "base_url", "credentials[0]", "models", "weight", "timeouts.connect_s"):
        assert f"channels[0].{place}: " in said, place
    for place in ("name", "colour", "weight"):
        assert f"channels[1].{place}: " in said, place
    for word in ("unknown-group", "NOT_SET_ANYWHERE", "models[0].price", "tiers[0].rpm", "unknown-tier", "nonsense"):
        assert word in said, word
    for place in (
        "[0].keys[0].secret",
        "[0].keys[0].allow_ips",
        "[1].credit",
        "[1].keys[0].secret",
        "[1].keys[0].expires",
    ):
        assert f"accounts{place}" in said, place
    assert "sk-tl-literal-but-malformed" not in said
    assert "bad: one" not in str(surface.admin("GET", "/channels"))


FILES = {
    "not_yaml": b"channels: [",
    "tabs": b"channels:\n\t- name: x\n",
    "list": b"[1, 2]",
    "text": b"hello",
    "binary": bytes(range(256)),
    "python_tag": b"channels: !!python/object/apply:os.system ['true']",
    "deep": b"[" * 1500,
    "aliases": b"a: &a [1,1,1,1,1,1,1,1,1]\n"
    + b"".join(
        b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % (letter + 1, letter + 1, *[letter] * 9)
        for letter in range(ord("a"), ord("k"))
    ),
    "number_without_end": b"accounts: [{name: a, credit: " + b"9" * 100_000 + b"}]",
    "not_a_number": b"accounts: [{name: a, credit: .nan}]",
    "date_without_end": b"accounts: [{name: a, keys: [{name: k, expires: 99999-01-01}]}]",
    "no_day_of_the_calendar": b"accounts: [{name: a, keys: [{name: k, expires: 2030-02-31}]}]",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_file_that_is_no_configuration(cli: CLI, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file.yaml"
    file.write_bytes(content)
    said = cli.fails("apply", "-f", str(file), code=EXIT_USAGE)
    assert str(file) in said
    assert len(said) < 4000


def test_file_that_cannot_be_read(cli: CLI, tmp_path: Path) -> None:
    assert "No such file" in cli.fails("apply", "-f", str(tmp_path / "missing.yaml"), code=EXIT_USAGE)
    assert "directory" in cli.fails("apply", "-f", str(tmp_path), code=EXIT_USAGE)


def test_nothing_is_applied_where_the_console_finds_a_fault(cli: CLI, tmp_path: Path, surface: Surface) -> None:
    file = tmp_path / "taken.yaml"
    file.write_text(
        f"accounts: [{{name: half-applied}}, {{name: thief, keys: [{{name: k, secret: {surface.ready.api_key}}}]}}]"
    )
    said = cli.fails("apply", "-f", str(file))
    assert surface.ready.api_key not in said
    assert "half-applied" not in cli.run("accounts", "list").out


# --- names and options --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (("accounts", "show", "nobody"), "nobody"),
        (("accounts", "show", "../keys"), "no account"),
        (("accounts", "credit", "nobody", "1"), "nobody"),
        (("accounts", "credit", "demo", "much"), "not an amount"),
        (("accounts", "credit", "demo", "-1"), "such option"),
        (("accounts", "credit", "demo", "0"), "more than 0"),
        (("accounts", "credit", "demo", "1e400"), "amount"),
        (("accounts", "create", "a\nb"), "name"),
        (("accounts", "create", "x" * 10_000), "name"),
        (("keys", "create", "no-slash"), "ACCOUNT/NAME"),
        (("keys", "create", "nobody/key"), "nobody"),
        (("keys", "create", "demo/demo"), "already"),
        (("keys", "create", "demo/new", "--group", "unknown"), "unknown"),
        (("keys", "create", "demo/new", "--allow-ip", "nowhere"), "CIDR"),
        (("keys", "create", "demo/new", "--expires", "soon"), "--expires"),
        (("keys", "block", "demo/unknown"), "no key"),
        (("channels", "show", "unknown"), "unknown"),
        (("channels", "disable", "unknown"), "unknown"),
        (("usage", "--since", "long ago"), "since"),
        (("usage", "--key", "demo"), "account"),
        (("nonsense",), "such command"),
        (("keys", "nonsense"), "such command"),
        (("keys", "list", "--nonsense"), "such option"),
        (("apply",), "--file"),
        (("dev", "--nonsense", "--edges", "many", "--port", "-1"), "--nonsense"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_wrong_names_and_values(cli: CLI, command: tuple[str, ...], word: str) -> None:
    code = {"such option": 2, "such command": 2, "--file": 2, "--expires": 2, "--nonsense": EXIT_USAGE}.get(word, 1)
    assert word.lower() in cli.fails(*command, code=code).lower()


# --- chat and doctor ----------------------------------------------------------------------------------------------


def test_chat_without_a_key(cli: CLI) -> None:
    said = cli.without("TRUNKLINE_API_KEY").fails("chat", "demo", "hi", code=EXIT_USAGE)
    assert "TRUNKLINE_API_KEY is not set" in said


def test_chat_that_is_refused(cli: CLI, surface: Surface, nowhere: str) -> None:
    assert "(404)" in cli.fails("chat", "unknown-model", "hi")
    assert "(401)" in cli.having(TRUNKLINE_API_KEY=keys.mint(bytes(64))).fails("chat", "demo", "hi")
    assert "(429)" in cli.fails("chat", "limited", "hi")
    assert f"nothing listens at {nowhere}" in cli.having(TRUNKLINE_BASE_URL=nowhere).fails("chat", "demo", "hi")
    assert "(401)" in cli.having(TRUNKLINE_BASE_URL=surface.ready.console_url).fails("chat", "demo", "hi")


def test_conversation_goes_on_after_an_error(cli: CLI) -> None:
    result = cli.run("chat", "unknown-model", said="hi\nhello\n\n")
    assert result.err.count("(404)") == 2


def test_doctor_where_nothing_runs(cli: CLI, nowhere: str) -> None:
    sick = cli.having(TRUNKLINE_CONSOLE_URL=nowhere, TRUNKLINE_BASE_URL=nowhere)
    lines = sick.run("doctor", "--ops", nowhere, code=1).out.splitlines()
    assert [line.split()[1].rstrip(":") for line in lines] == ["console", "gateway", "ops"]
    assert all(line.startswith("FAIL") and "nothing listens" in line for line in lines)


def test_doctor_without_any_setting(surface: Surface) -> None:
    ready = surface.ready
    poor = CLI(TRUNKLINE_CONSOLE_URL=ready.console_url, TRUNKLINE_BASE_URL=ready.base_url)
    console, gateway = poor.run("doctor", code=1).out.splitlines()
    assert console.startswith("FAIL  console: TRUNKLINE_ADMIN_KEY is not set")
    assert gateway.startswith("ok    gateway:")
    wrong = CLI.of(surface).having(TRUNKLINE_API_KEY="sk-wrong").run("doctor", "--ops", ready.base_url, code=1).out
    assert "It refuses TRUNKLINE_API_KEY" in wrong
    assert "This is no ops port" in wrong


def test_reader_that_has_enough(cli: CLI) -> None:
    with subprocess.Popen(  # noqa: S603 - our own program
        [*COMMAND, "models", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=cli.environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
        process.wait(TIMEOUT_S)
