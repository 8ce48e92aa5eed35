"""The CLI's client of the admin API: what it sends for a method's arguments, and that it has all that its key can."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from docs.generate_client import client_text
from trunkline.cli import http
from trunkline.cli.admin_client import AdminClient
from trunkline.cli.client import Client
from trunkline.cli.failure import CLIError
from trunkline.policy.access import Access
from trunkline.policy.admin_accounts import Rotation
from trunkline.policy.operations import ALL

CLI = Path(inspect.getfile(Client)).parent


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, bytes | None]]:
    """Method, URL and body of what was sent; each answer is an empty list."""
    found = []

    def call(method: str, url: str, *, body: bytes | None, headers: dict[str, str], ca_path: str) -> http.Answer:
        assert (headers["authorization"], ca_path) == ("Bearer secret", "ca.pem")
        found.append((method, url, body))
        return http.Answer(200, b"[]")

    monkeypatch.setattr(http, "call", call)
    return found


@pytest.fixture
def client() -> Client:
    return Client("http://console:1/", "secret", "ca.pem")


def test_there_is_a_method_for_each_operation_of_the_admin_key() -> None:
    methods = {name for name in vars(Client) if not name.startswith("_")}
    for_people = {Access.PUBLIC, Access.SIGNED_IN}
    assert methods == {operation.id for operation in ALL if operation.access not in for_people}


def test_places_may_hold_any_character(client: Client, sent: list[Any]) -> None:
    client.list_keys("ac/me é?")
    client.withdraw_prices("lab/model:1", 7)
    client.withdraw_costs("main", "m", 8)
    assert sent == [
        ("GET", "http://console:1/admin/v1/accounts/ac%2Fme%20%C3%A9%3F/keys", None),
        ("DELETE", "http://console:1/admin/v1/models/lab%2Fmodel%3A1/prices/7", None),
        ("DELETE", "http://console:1/admin/v1/channels/main/costs/m/8", None),
    ]


def test_queries_hold_what_is_given(client: Client, sent: list[Any]) -> None:
    client.list_alerts()
    client.list_alerts(account="a&b")
    client.list_payments(aside=True)
    client.list_payments(aside=False)
    assert [url.removeprefix("http://console:1/admin/v1") for _, url, _ in sent] == [
        "/alerts",
        "/alerts?account=a%26b",
        "/payments?aside=true",
        "/payments?aside=false",
    ]


def test_a_value_may_be_there_several_times(client: Client, sent: list[Any]) -> None:
    client.send("GET", "things", query={"tag": ["a", "b"], "number": 3, "none": None})
    assert sent == [("GET", "http://console:1/admin/v1/things?tag=a&tag=b&number=3", None)]


def test_bodies_are_json_and_an_answer_of_another_form_is_refused(client: Client, sent: list[Any]) -> None:
    with pytest.raises(CLIError, match="is not understood"):
        client.rotate_key("acme", "ci", Rotation(60))
    assert sent == [("POST", "http://console:1/admin/v1/accounts/acme/keys/ci/rotate", b'{"overlap_s":60}')]
    with pytest.raises(CLIError, match="is not understood"):
        client.rotate_key("acme", "ci")
    assert sent[1][2] is None


def test_commands_name_no_path_of_the_admin_api() -> None:
    generic = {f".{name}(" for name in ("send", "read", "lines", "opened") if name in vars(AdminClient)}
    assert len(generic) == 4
    for path in CLI.glob("*.py"):
        if path.name not in {"admin_client.py", "client.py"}:
            text = path.read_text().replace("http.opened(", "").replace("response.read(", "")
            assert [call for call in generic if call in text] == [], path.name


def test_a_method_takes_places_then_a_body_then_a_query() -> None:
    operation = {
        "operationId": "make_thing",
        "summary": f"Make a thing. {'And more. ' * 12}",
        "x-access": "operator",
        "parameters": [
            {"name": "id", "in": "path", "schema": {"type": "integer"}, "required": True},
            {"name": "dry_run", "in": "query", "schema": {"type": "boolean"}, "required": False},
            {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}, "required": True},
        ],
        "requestBody": {"required": False, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {
            "200": {"content": {"application/x-ndjson": {"schema": {"type": "number"}}}},
            "default": {},
        },
    }
    other = {**operation, "x-access": "signed_in"}
    text = client_text({"paths": {"/things/{id}/parts": {"post": operation, "get": other}}}, {})
    assert (
        text.partition("class Client(AdminClient):\n")[2]
        == '''\
    """Calls one console. Each method raises a CLIError with the console's own words if it refuses."""

    def make_thing(
        self, id_: int, body: dict[str, Any] | None = None, *, tag: list[str], dry_run: bool | None = None
    ) -> Iterator[float]:
        """Make a thing."""
        query = {"dry_run": dry_run, "tag": tag}
        return self.lines(float, "POST", "things", id_, "parts", body=body, query=query)
'''
    )
