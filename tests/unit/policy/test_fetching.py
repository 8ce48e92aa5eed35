"""Which URLs, addresses and answers are taken, and above all which are not."""

import re
from ipaddress import ip_address

import pytest

from trunkline.core import limits
from trunkline.policy import fetching
from trunkline.policy.fetching import (
    WORDS,
    Fetched,
    FetchError,
    FetchResult,
    FetchRules,
    FetchTarget,
    Reception,
    check_addresses,
    check_networks,
    check_ports,
    may_fetch_from,
    parse_networks,
    parse_url,
    redirected,
    request_head,
)
from trunkline.protocol.links import DOCUMENTS, PICTURES

RULES = FetchRules()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)


def refused(url: str, rules: FetchRules = RULES) -> FetchResult:
    with pytest.raises(FetchError) as raised:
        parse_url(url, rules)
    return raised.value.result


# --- addresses -----------------------------------------------------------------------------------------------------

FORBIDDEN = {
    "0.0.0.1": "this network",
    "0.1.2.3": "this network",
    "10.0.0.1": "private",
    "10.255.255.255": "private",
    "100.64.0.1": "carrier-grade NAT",
    "100.100.100.200": "metadata of Alibaba",
    "100.127.255.255": "carrier-grade NAT",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "agent of Azure",
    "169.254.0.1": "link-local",
    "169.254.169.254": "metadata of most clouds",
    "169.254.170.2": "credentials of containers at Amazon",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.192": "metadata of Oracle",
    "192.0.2.1": "documentation",
    "192.88.99.1": "relays of 6to4",
    "192.168.0.1": "private",
    "198.18.0.1": "benchmarks",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "::1": "loopback",
    "::7f00:1": "IPv4-compatible loopback",
    "::ffff:127.0.0.1": "IPv4-mapped loopback",
    "::ffff:8.8.8.8": "IPv4-mapped, although public",
    "::ffff:0:127.0.0.1": "IPv4-translated",
    "64:ff9b::7f00:1": "NAT64 of loopback",
    "64:ff9b::8.8.8.8": "NAT64",
    "64:ff9b:1::1": "NAT64 for local use",
    "100::1": "discarded",
    "2001::1": "Teredo",
    "2001:0:7f00:1::": "Teredo",
    "2001:2::1": "benchmarks",
    "2001:10::1": "ORCHID",
    "2001:20::1": "ORCHID",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4 of loopback",
    "2002:808:808::": "6to4",
    "3fff::1": "documentation",
    "5f00::1": "segment routing",
    "fc00::1": "unique local",
    "fd00:ec2::254": "metadata of Amazon",
    "fd20:ce::254": "metadata of Google",
    "fe80::1": "link-local",
    "fe80::1%lo": "link-local with a zone",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
    "ff0e::1": "global multicast",
}
PUBLIC = ("1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1111")


@pytest.mark.parametrize("address", FORBIDDEN, ids=lambda address: f"{address} {FORBIDDEN[address]}")
def test_what_the_internet_does_not_see_is_not_fetched_from(address: str) -> None:
    assert not may_fetch_from(ip_address(address), RULES)
    for addresses in ([address], ["8.8.8.8", address], [address, "8.8.8.8"]):
        with pytest.raises(FetchError) as raised:
            check_addresses(addresses, RULES)
        assert raised.value.result is FetchResult.FORBIDDEN_ADDRESS
        assert address not in str(raised.value)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are(address: str) -> None:
    assert may_fetch_from(ip_address(address), RULES)
    check_addresses([address, "8.8.4.4"], RULES)


def test_an_operator_may_allow_networks_and_nothing_beside_them() -> None:
    rules = FetchRules(parse_networks(["10.1.2.0/24", "fd00:1::/32", "10.9.9.9"]))
    check_addresses(["10.1.2.3", "fd00:1::5", "10.9.9.9", "8.8.8.8"], rules)
    for address in ("10.1.3.1", "fd00:2::1", "10.9.9.8", "::ffff:10.1.2.3", "127.0.0.1"):
        assert not may_fetch_from(ip_address(address), rules)


@pytest.mark.parametrize(
    ("addresses", "result"),
    [([], FetchResult.UNRESOLVED), (["8.8.8.8", "no address"], FetchResult.FORBIDDEN_ADDRESS)],
)
def test_a_name_without_good_addresses(addresses: list[str], result: FetchResult) -> None:
    with pytest.raises(FetchError) as raised:
        check_addresses(addresses, RULES)
    assert raised.value.result is result


@pytest.mark.parametrize("texts", [("10.0.0.1/8",), ("10.0.0.0/8", "intranet"), ("",)])
def test_a_setting_that_is_no_network_is_told(texts: tuple[str, ...]) -> None:
    assert (check_networks(texts) or "").startswith("must be networks such as")
    assert check_networks(("10.0.0.0/8", "::1")) is None


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1", "²"])
def test_a_setting_that_is_no_port_is_told(text: str) -> None:
    assert check_ports(("80", text)) == "must be port numbers"
    assert check_ports(("80", "65535")) is None


# --- URLs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://example.com", ("example.com", 80, False, "example.com", "/")),
        ("https://Example.COM./a?b=c#d", ("example.com", 443, True, "example.com", "/a?b=c")),
        ("HTTPS://example.com:443/", ("example.com", 443, True, "example.com", "/")),
        ("http://example.com:443/", ("example.com", 443, False, "example.com:443", "/")),
        ("http://example.com/a b/ü%20?x=é|", ("example.com", 80, False, "example.com", "/a%20b/%C3%BC%20?x=%C3%A9%7C")),
        ("https://bücher.example/", ("xn--bcher-kva.example", 443, True, "xn--bcher-kva.example", "/")),
        ("http://8.8.8.8/x", ("8.8.8.8", 80, False, "8.8.8.8", "/x")),
        ("http://[2606:4700::1111]/x", ("2606:4700::1111", 80, False, "[2606:4700::1111]", "/x")),
        ("http://\uff11\uff12\uff17.0.0.1/", ("127.0.0.1", 80, False, "127.0.0.1", "/")),
        ("http://example.com/?@b", ("example.com", 80, False, "example.com", "/?@b")),
    ],
)
def test_urls_that_may_be_asked(url: str, target: tuple[str, int, bool, str, str]) -> None:
    assert parse_url(url, RULES) == FetchTarget(url, *target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "picture.png",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "data:image/png;base64,AA==",
        "http:///x",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://@example.com/",
        "http://example.com:22/",
        "http://example.com:8080/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://exa mple.com/",
        "http://example.com\\@10.0.0.1/",
        "http://example.com\r\nx: y/",
        "http://a..b/",
        "http://-a.example/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://[127.0.0.1]/",
        "http://" + "a" * 64 + ".example/",
        "http://example.com/" + "a" * limits.HEADER_LINE_BYTES_MAX,
        "http://example.com/" + "ü" * 2000,
        "http://\u2100.example/",
    ],
)
def test_urls_that_may_not(url: str) -> None:
    assert refused(url) is FetchResult.BAD_URL


def test_line_breaks_in_a_path_are_not_sent() -> None:
    target = parse_url("http://example.com/a\r\nhost: b\x00\x0b", RULES)
    assert request_head(target, "gateway").splitlines() == [
        b"GET /ahost:%20b%00%0B HTTP/1.1",
        b"host: example.com",
        b"user-agent: gateway",
        b"accept: image/*, application/pdf",
        b"accept-encoding: identity",
        b"connection: close",
        b"",
    ]


def test_other_ports_are_for_the_operator_to_allow() -> None:
    rules = FetchRules(ports=frozenset({8443}))
    assert parse_url("https://example.com:8443/", rules).authority == "example.com:8443"
    assert refused("https://example.com/", rules) is FetchResult.BAD_URL


@pytest.mark.parametrize(
    ("location", "host", "path"),
    [
        ("/b", "example.com", "/b"),
        ("b?c", "example.com", "/a/b?c"),
        ("//other.example/b", "other.example", "/b"),
        ("http://10.0.0.1/", "10.0.0.1", "/"),
        ("/b\u00c3\u00bc", "example.com", "/b%C3%BC"),
    ],
)
def test_redirects_are_read_like_urls(location: str, host: str, path: str) -> None:
    target = redirected(parse_url("https://example.com/a/x", RULES), location, RULES)
    assert (target.host, target.path) == (host, path)


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://a@b/", "http://example.com:6379/", "http://[::1", "/\u00ff", "data:x"]
)
def test_redirects_lead_to_no_other_kind_of_place(location: str) -> None:
    with pytest.raises(FetchError) as raised:
        redirected(parse_url("https://example.com/a/x", RULES), location, RULES)
    assert raised.value.result is FetchResult.BAD_URL


# --- answers -------------------------------------------------------------------------------------------------------


def reception(accepts: frozenset[str] = PICTURES) -> Reception:
    return Reception(accepts, lambda _size: None)


def take_all(receiving: Reception, *pieces: bytes) -> Fetched:
    for piece in pieces:
        receiving.receive_body(piece)
    return receiving.finish()


TYPES = {
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01": "image/jpeg",
    PNG: "image/png",
    b"GIF87a......": "image/gif",
    b"GIF89a......": "image/gif",
    b"RIFF\n\x00\x00\x00WEBPVP8 ": "image/webp",
}


@pytest.mark.parametrize(("body", "media_type"), TYPES.items(), ids=TYPES.values())
@pytest.mark.parametrize("size", [1, 5, 100])
def test_the_first_bytes_say_the_type_whatever_the_header_says(body: bytes, media_type: str, size: int) -> None:
    receiving = reception()
    receiving.receive_head(200, {"content-type": "text/html"})
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    assert take_all(receiving, *pieces) == (media_type, body)


def test_documents_and_pictures_do_not_stand_for_each_other() -> None:
    document = b"%PDF-1.7\n"
    receiving = reception(DOCUMENTS)
    receiving.receive_head(200, {})
    assert take_all(receiving, document) == ("application/pdf", document)
    for accepts, body in ((DOCUMENTS, PNG), (PICTURES, document)):
        receiving = reception(accepts)
        receiving.receive_head(200, {})
        with pytest.raises(FetchError) as raised:
            take_all(receiving, body)
        assert raised.value.result is FetchResult.WRONG_TYPE


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"<html><body>a whole page</body></html>", b"RIFF\n\x00\x00\x00WAVEfmt ", b"\x1f\x8b"]
)
def test_what_is_no_picture_is_refused_whatever_it_is_called(body: bytes) -> None:
    receiving = reception()
    receiving.receive_head(200, {"content-type": "image/png"})
    with pytest.raises(FetchError) as raised:
        take_all(receiving, body)
    assert raised.value.result is FetchResult.WRONG_TYPE


@pytest.mark.parametrize(
    ("status", "headers", "result"),
    [
        (404, {}, FetchResult.BAD_STATUS),
        (206, {}, FetchResult.BAD_STATUS),
        (204, {}, FetchResult.BAD_STATUS),
        (304, {"location": "/"}, FetchResult.BAD_STATUS),
        (302, {}, FetchResult.BAD_STATUS),
        (200, {"content-encoding": "gzip"}, FetchResult.ENCODED),
        (200, {"content-encoding": "identity, br"}, FetchResult.ENCODED),
        (200, {"content-length": str(limits.FETCH_BYTES_MAX + 1)}, FetchResult.TOO_LARGE),
    ],
)
def test_heads_that_are_refused(status: int, headers: dict[str, str], result: FetchResult) -> None:
    receiving = reception()
    with pytest.raises(FetchError) as raised:
        receiving.receive_head(status, headers)
    assert raised.value.result is result
    assert receiving.location is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_told(status: int) -> None:
    receiving = reception()
    receiving.receive_head(status, {"location": "/b", "content-encoding": "gzip"})
    assert receiving.location == "/b"


def test_a_body_has_a_size_at_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FETCH_BYTES_MAX", 64)
    receiving = reception()
    receiving.receive_head(200, {"content-length": "64"})
    assert len(take_all(receiving, PNG.ljust(64, b"\0")).data) == 64
    with pytest.raises(FetchError) as raised:
        receiving.receive_body(b"\0")
    assert raised.value.result is FetchResult.TOO_LARGE


def test_a_body_does_not_come_in_crumbs() -> None:
    receiving = reception()
    receiving.receive_head(200, {})
    with pytest.raises(FetchError) as raised:
        take_all(receiving, PNG, *[b"\0"] * limits.FETCH_PIECES_MAX)
    assert raised.value.result is FetchResult.TOO_LARGE


def test_each_piece_is_taken_from_what_there_is() -> None:
    sizes: list[int] = []

    def take(size: int) -> None:
        sizes.append(size)
        if sum(sizes) > 50:
            raise FetchError(FetchResult.BUSY)

    receiving = Reception(PICTURES, take)
    receiving.receive_head(200, {})
    receiving.receive_body(PNG)
    with pytest.raises(FetchError) as raised:
        receiving.receive_body(bytes(20))
    assert raised.value.result is FetchResult.BUSY
    assert sizes == [len(PNG), 20]


# --- words ---------------------------------------------------------------------------------------------------------


def test_every_failure_has_words_and_three_are_the_same() -> None:
    assert set(WORDS) == set(FetchResult) - {FetchResult.FETCHED, FetchResult.GIVEN_UP}
    inside = (FetchResult.FORBIDDEN_ADDRESS, FetchResult.UNRESOLVED, FetchResult.UNREACHABLE)
    assert {WORDS[result] for result in inside} == {"its server cannot be reached from here"}
    for words in WORDS.values():
        assert re.fullmatch(r"[a-z][^.]*[^.\s]", words)
    assert str(FetchError(FetchResult.TOO_LARGE)) == "one may have 20 MiB, all of a request 48 MiB together"


def test_the_usual_ports_are_the_default_of_both() -> None:
    assert frozenset(map(int, fetching.USUAL_PORTS)) == RULES.ports
