"""The ready file has the form that others rely on."""

import json
import stat
from pathlib import Path

import msgspec

from trunkline.dev import ready
from trunkline.dev.ready import ProcessEntry, ReadyFile

READY = ReadyFile(
    base_url="http://127.0.0.1:8080",
    console_url="http://127.0.0.1:8081",
    api_key="sk-tl-x",
    admin_key="admin",
    nats_url="nats://127.0.0.1:4222",
    postgres_dsn="postgresql://",
    upstream_url="http://127.0.0.1:9",
    processes={"edge": [ProcessEntry(1, "http://127.0.0.1:9101", "http://127.0.0.1:8080")], "nats": [ProcessEntry(2)]},
)


def test_ready_file_is_private_json_of_the_agreed_form(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    path.write_text("old")
    ready.write(path, READY)
    written = json.loads(path.read_text())
    assert list(written) == [
        "base_url",
        "console_url",
        "api_key",
        "admin_key",
        "nats_url",
        "postgres_dsn",
        "upstream_url",
        "processes",
    ]
    assert written["processes"]["edge"][0]["ops_url"] == "http://127.0.0.1:9101"
    assert written["processes"]["nats"] == [{"pid": 2}]
    link = "http://127.0.0.1:8081/#/first/x"
    ready.write(path, msgspec.structs.replace(READY, console_login=link))
    assert json.loads(path.read_text())["console_login"] == link
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["ready.json"]
