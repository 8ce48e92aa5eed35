"""Settings of invoices and of topping up."""

import pytest

from tests.support.console import settings
from trunkline.runtime.config import SettingsError

DATABASE = "postgresql://nowhere"


@pytest.mark.parametrize("url", ["", "https://pay.example/x?reference={account}", "http://localhost/{account}#pay"])
def test_a_page_to_pay_in(url: str) -> None:
    assert settings(DATABASE, TRUNKLINE_TOP_UP_URL=url).top_up_url == url


@pytest.mark.parametrize(
    "url", ["https://pay.example/", "{account}", "ftp://pay.example/{account}", "https://a b/{account}"]
)
def test_what_is_no_page_to_pay_in(url: str) -> None:
    with pytest.raises(SettingsError, match="TRUNKLINE_TOP_UP_URL"):
        settings(DATABASE, TRUNKLINE_TOP_UP_URL=url)


@pytest.mark.parametrize("text", ["x\\n" * 11, "a\x00b"])
def test_who_writes_invoices_fits_above_the_heading(text: str) -> None:
    with pytest.raises(SettingsError, match="TRUNKLINE_INVOICE_ISSUER"):
        settings(DATABASE, TRUNKLINE_INVOICE_ISSUER=text)
    assert settings(DATABASE, TRUNKLINE_INVOICE_ISSUER="a\\nb").invoice_issuer == "a\\nb"
