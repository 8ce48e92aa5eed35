"""What a browser is told when a page of another site wants to call."""

from services.edge import cors
from trunkline.runtime.http_exchange import Exchange, Request


class _Wire:
    draining = False

    def __init__(self) -> None:
        self.written = b""

    def write(self, wire: bytes) -> bool:
        self.written += wire
        return True

    def date_line(self) -> bytes:
        return b"date: now\r\n"

    def answer_begun(self) -> None:
        pass

    def exchange_ended(self, *, keep_alive: bool) -> None:
        pass

    def cut(self) -> None:
        pass


def asked(method: str, **headers: str) -> tuple[Exchange, _Wire]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    wire = _Wire()
    request = Request(method=method, path="/v1/models", query="", headers=fields, body=b"", peer="192.0.2.1")
    return Exchange(wire, request, keep_alive=True, chunked=True), wire


def test_only_a_question_of_a_browser_is_a_preflight() -> None:
    asks = asked("OPTIONS", origin="https://chat.example", access_control_request_method="POST")[0]
    assert cors.is_preflight(asks.request)
    assert not cors.is_preflight(asked("OPTIONS", origin="https://chat.example")[0].request)
    assert not cors.is_preflight(asked("POST", access_control_request_method="POST")[0].request)


def test_the_headers_that_are_asked_for_are_allowed_by_name() -> None:
    exchange, wire = asked("OPTIONS", access_control_request_headers="Authorization, x-api-key")
    cors.allow(exchange)
    head = wire.written.decode()
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "\r\naccess-control-allow-headers: authorization, x-api-key\r\n" in head
    assert head.count("access-control-allow-origin: *\r\n") == 1
    assert "\r\naccess-control-allow-methods: GET, HEAD, POST\r\n" in head


def test_what_is_no_list_of_names_is_not_said_again() -> None:
    exchange, wire = asked("OPTIONS", access_control_request_headers='a"b: c')
    cors.allow(exchange)
    assert b"allow-headers" not in wire.written


def test_only_answers_to_pages_carry_the_lines() -> None:
    exchange, wire = asked("GET", origin="null")
    cors.mark(exchange)
    exchange.respond(200, b"", b"x")
    assert wire.written.count(cors.SHARED) == 1
    exchange, wire = asked("GET")
    cors.mark(exchange)
    exchange.start(200, b"", b"x")
    assert b"access-control" not in wire.written
