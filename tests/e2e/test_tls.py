"""The whole gateway over TLS: client to edge, services to NATS and Postgres, people to the console, ops ports."""

import asyncio
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import asyncpg
import httpx2
import msgspec
import openai
import pytest
from cryptography import x509

from tests.support.chat_client import ChatClient, session
from tests.support.people import PASSWORD, Browser
from tests.support.tls_stack import HOST, TLSStack, tls_stack
from tests.support.waiting import eventually
from trunkline.bus.permissions import ROLES
from trunkline.dev.demo.counts import Counts
from trunkline.runtime.clock import SystemClock
from trunkline.store.database import StoreError, single_connection

CLOSED_WITHIN_MS = 1000 + 2000
"""Within a second, and some for a busy machine."""

ISSUED_WITHIN_S = 60
RENEWED_WITHIN_S = 20.0
EXPIRES = "trunkline_certificate_expires_timestamp_seconds"


@pytest.fixture(scope="module")
def stack() -> Iterator[TLSStack]:
    with tls_stack() as stack:
        yield stack


def test_an_sdk_asks_and_streams(stack: TLSStack) -> None:
    with httpx2.Client(verify=stack.trust) as http:
        client = openai.OpenAI(base_url=f"{stack.base_url}/v1", api_key=stack.api_key, http_client=http, max_retries=0)
        question = {"role": "user", "content": "Hello!"}
        whole = client.chat.completions.create(model="demo", messages=[question])  # type: ignore[list-item]
        assert whole.choices[0].message.content
        with client.chat.completions.stream(model="demo", messages=[question]) as stream:  # type: ignore[list-item]
            pieces = [event.delta for event in stream if event.type == "content.delta"]
        assert "".join(pieces).strip() == whole.choices[0].message.content.strip()
        assert len(pieces) > 3


def test_a_client_that_does_not_trust_the_authority_says_nothing(stack: TLSStack) -> None:
    with pytest.raises(httpx2.ConnectError, match="certificate verify failed"):
        httpx2.get(f"{stack.base_url}/v1/models")


async def stream_begun(stack: TLSStack, tag: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection on which a long stream comes in."""
    reader, writer = await asyncio.open_connection(HOST, stack.edge_port, ssl=stack.trust)
    async with session() as http:
        body = ChatClient(http, stack.api_key, "demo").body({"chunks": 1000, "delay_ms": 50, "tag": tag}, stream=True)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {stack.api_key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    async with asyncio.timeout(10):
        await reader.readuntil(b'"content":"')
        await reader.readuntil(b'"content":"')
    return reader, writer


def leave(writer: asyncio.StreamWriter) -> None:
    """Close a connection at once: a goodbye over TLS waits for the other side's, and may outlast the test's loop."""
    writer.transport.abort()


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_client_that_leaves_is_noticed_within_a_second(stack: TLSStack, how: str) -> None:
    _, writer = await stream_begun(stack, how)
    getattr(writer.transport, how)()
    left_at_ms = SystemClock().wall_ms()
    async with aiohttp.ClientSession() as http:

        async def aborted_at_ms() -> int | None:
            async with http.get(f"{stack.upstream_url}/counts") as response:
                counts = msgspec.json.decode(await response.read(), type=Counts)
            return next((abort.at_ms for abort in counts.aborts if abort.tag == how), None)

        at_ms = await eventually(aborted_at_ms, within_s=10, what="the upstream call is closed")
    leave(writer)
    assert at_ms - left_at_ms < CLOSED_WITHIN_MS


async def test_people_sign_in_with_cookies_that_only_tls_carries(stack: TLSStack) -> None:
    connector = aiohttp.TCPConnector(ssl=stack.trust)
    async with aiohttp.ClientSession(connector=connector) as http:
        admin = Browser(http, stack.console_url)
        link = await admin.call("POST", "/first-operator/link", authorization=f"Bearer {stack.drawn.admin_key}")
        token = link.body["url"].rpartition("/")[2]
        answer = await admin.call("POST", "/first-operator", {"token": token, "name": "root", "password": PASSWORD})
        admin.take(answer)
        assert answer.status == 201
        [cookie] = [cookie for cookie in http.cookie_jar if "session" in cookie.key]
        assert cookie.key == "__Host-trunkline_session"
        assert cookie["secure"]
        assert (await admin.call("GET", "/session")).status == 200


def test_commands_reach_the_console_with_its_authority_and_not_without(stack: TLSStack) -> None:
    assert "acme" in stack.cli().run("accounts", "list").out
    said = stack.cli().without("TRUNKLINE_CONSOLE_CA_PATH").fails("accounts", "list")
    assert "no connection to https://localhost" in said


async def test_services_reach_postgres_over_tls(stack: TLSStack) -> None:
    connection = await asyncpg.connect(stack.dsn)
    rows = await connection.fetch(
        "select application_name from pg_stat_activity "
        "where backend_type = 'client backend' and pid <> pg_backend_pid()"
    )
    await connection.close()
    roles = {row["application_name"].removeprefix("trunkline-").partition("-")[0] for row in rows}
    assert roles == {"console", "metering"}
    assert stack.postgres.taken >= len(rows)
    assert stack.postgres.refused == 0
    with pytest.raises(StoreError):
        await connected(stack.dsn.replace("verify-full", "disable"))
    assert stack.postgres.refused == 1
    with pytest.raises(StoreError):
        await connected(stack.dsn.partition("&")[0])  # whose authority the system does not trust
    await connected(stack.dsn)


async def connected(dsn: str) -> None:
    async with single_connection(dsn, application="test", command_timeout_s=5):
        pass


def expiries(stack: TLSStack, role: str) -> dict[str, float]:
    found = re.findall(rf'^{EXPIRES}{{use="(\w+)"}} (\S+)$', stack.ops(role, "/metrics"), re.MULTILINE)
    return {use: float(value) for use, value in found}


def test_each_process_tells_when_its_certificates_end(stack: TLSStack) -> None:
    for role in ROLES:
        own = {role} if role in {"edge", "console"} else set()
        found = expiries(stack, role)
        assert found.keys() == {"nats", "ops", *own}
        assert max(found.values()) - min(found.values()) < ISSUED_WITHIN_S  # one after the other
        now_s = SystemClock().wall_ms() / 1000
        assert all(now_s + 40 * 3600 < value < now_s + 48 * 3600 for value in found.values())


async def shown_serial(stack: TLSStack) -> int:
    _, writer = await asyncio.open_connection(HOST, stack.edge_port, ssl=stack.trust)
    connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
    shown = connection.getpeercert(binary_form=True)
    leave(writer)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


async def test_a_renewed_certificate_is_shown_without_a_restart(stack: TLSStack) -> None:
    before = await shown_serial(stack)
    reader, writer = await stream_begun(stack, "renewal")
    renewed = stack.authority.issue("edge", days=30)

    async def shown() -> bool:
        return await shown_serial(stack) != before

    await eventually(shown, within_s=RENEWED_WITHIN_S, what="the new certificate is shown")
    assert expiries(stack, "edge")["edge"] == renewed.expires_s
    async with asyncio.timeout(10):
        await reader.readuntil(b'"content":"')  # the stream that had begun before goes on
    leave(writer)
    assert '"event":"certificate_renewed"' in stack.log("edge")
    assert '"event":"process_stopped"' not in stack.log("edge")


def test_keys_of_certificates_are_in_their_own_files_alone(stack: TLSStack) -> None:
    """Processes are told paths; what is in the files stands in no log, command line, environment or metric."""
    keys = [path.read_text() for path in stack.directory.rglob("*.key")]
    assert len(keys) > 2 * len(ROLES)
    left = {role: stack.log(role) + stack.ops(role, "/metrics") for role in ROLES}
    for role, pid in stack.pids.items():
        left[role] += "".join(Path(f"/proc/{pid}/{name}").read_text() for name in ("cmdline", "environ"))
    for role in ROLES:
        assert f"{role}-client.key" in left[role]
        assert [key for key in keys if any(line in left[role] for line in key.splitlines()[1:-1])] == []
