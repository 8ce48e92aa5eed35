"""Data URLs and base64 in all the forms that clients send."""

import base64

import pytest

from trunkline.protocol.openai_responses.media import (
    Media,
    data_url,
    name_by_type,
    plain_text,
    read_base64,
    read_data_url,
    type_by_name,
)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 10).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + b"x" * 10).decode()
WEBP = base64.b64encode(b"RIFF\x00\x01\x02\x03WEBPVP8 ").decode()
WAV = base64.b64encode(b"RIFF\x00\x01\x02\x03WAVEfmt ").decode()


@pytest.mark.parametrize(
    ("url", "media"),
    [
        (f"data:image/png;base64,{PNG}", Media("image/png", PNG)),
        (f"DATA:Image/PNG;charset=utf-8;BASE64,{PNG}", Media("image/png", PNG)),
        (f"data:image/png;base64,{JPEG}", Media("image/jpeg", JPEG)),
        (f"data:image/png;base64,{WEBP}", Media("image/webp", WEBP)),
        (f"data:audio/wav;base64,{WAV}", Media("audio/wav", WAV)),
        ("data:text/plain,a%20b", Media("text/plain", "YSBi")),
        ("data:,a", Media("text/plain", "YQ==")),
        ("https://x/a.png", None),
        ("data:image/png", None),
        ("", None),
    ],
)
def test_data_urls(url: str, media: Media | None) -> None:
    assert read_data_url(url) == media


@pytest.mark.parametrize(("data", "standard"), [("-_8=", "+/8="), ("QU\nJD ", "QUJD"), ("YQ", "YQ=="), ("YQ=", "YQ==")])
def test_base64_is_brought_into_its_standard_form(data: str, standard: str) -> None:
    assert read_base64(data, "x/y") == Media("x/y", standard)


def test_plain_text_is_read_if_it_is_some() -> None:
    assert plain_text(Media("text/plain", base64.b64encode("é".encode()).decode())) == "é"
    assert plain_text(Media("text/plain", "/w==")) is None
    assert plain_text(Media("text/plain", "???")) is None
    assert plain_text(Media("application/pdf", "YQ==")) is None


def test_names_and_types() -> None:
    assert (type_by_name("A.PDF"), type_by_name("a"), name_by_type("application/pdf")) == (
        "application/pdf",
        "",
        "document.pdf",
    )
    assert name_by_type("x/y") == "document"
    assert read_data_url(data_url("image/png", PNG)) == Media("image/png", PNG)
