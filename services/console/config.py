"""Settings of the console."""

import dataclasses
from urllib.parse import urlsplit

from trunkline.policy.addresses import networks_fault
from trunkline.policy.fetching import check_networks, check_ports
from trunkline.policy.vault import check_masters
from trunkline.runtime.config import setting
from trunkline.runtime.smtp import SECURITIES, STARTTLS
from trunkline.runtime.tls import TLSContext, pair_faults, server_tls
from trunkline.runtime.upstream_guard import UpstreamSettings

CERTIFICATE = "TRUNKLINE_CONSOLE_CERTIFICATE_PATH"
KEY = "TRUNKLINE_CONSOLE_KEY_PATH"

SECRET_CHARS_MIN = 16

ISSUER_LINES_MAX = 10
"""Above the heading of an invoice."""


def _long_enough(secret: str) -> str | None:
    return None if len(secret) >= SECRET_CHARS_MIN else f"must have {SECRET_CHARS_MIN} characters or more"


def _header_text(secret: str) -> str | None:
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        return "must be printable ASCII without spaces"
    return _long_enough(secret)


def _top_up_url(url: str) -> str | None:
    if not url:
        return None
    if "{account}" not in url or _page_url(url.replace("{account}", "x").translate(dict.fromkeys(map(ord, "?#")))):
        return "must be a URL with {account}, such as https://pay.example.com/?reference={account}"
    return None


def _invoice_issuer(text: str) -> str | None:
    lines = text.replace("\\n", "\n").splitlines()
    if len(lines) > ISSUER_LINES_MAX or not all(line.isprintable() for line in lines):
        return f"must have at most {ISSUER_LINES_MAX} lines, without control characters"
    return None


def _page_url(url: str) -> str | None:
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    plain = url.isascii() and url.isprintable() and not set(" ?#") & set(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
        return "must be a URL such as https://status.example.com/status"
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConsoleSettings(UpstreamSettings):
    """Settings of the console."""

    host: str = setting(
        "TRUNKLINE_CONSOLE_HOST",
        "127.0.0.1",
        help="Address of the admin API; open it to others only behind TLS.",
    )
    port: int = setting("TRUNKLINE_CONSOLE_PORT", 8081, help="Port of the admin API; 0 takes a free one.")
    certificate_path: str = setting(
        CERTIFICATE, "", help="Certificate (PEM) of the console, with its chain; empty: plain HTTP."
    )
    key_path: str = setting(KEY, "", help="Its key (PEM, without a password).")
    public_url: str = setting(
        "TRUNKLINE_CONSOLE_PUBLIC_URL",
        "",
        help="Address of the console as people reach it, such as https://llm.example.com/console: links in mails lead "
        "there, and over https its cookies are never sent in the clear. Without it there are no such mails, and nobody "
        "signs in elsewhere.",
        check=_page_url,
    )
    trusted_proxies: tuple[str, ...] = setting(
        "TRUNKLINE_CONSOLE_TRUSTED_PROXIES",
        (),
        help="Addresses or CIDR ranges of proxies in front of the console: from them the client's address is taken "
        "from X-Forwarded-For, for bounds on guessing passwords and for the audit log.",
        check=networks_fault,
    )
    base_url: str = setting(
        "TRUNKLINE_BASE_URL",
        "http://127.0.0.1:8080",
        help="Address of the gateway as its clients are given it, such as https://llm.example.com: the console's pages "
        "show it in examples.",
        check=_page_url,
    )
    edge_url: str = setting(
        "TRUNKLINE_EDGE_URL",
        "",
        help="Address of the edges as the console reaches them, for the playground; empty: TRUNKLINE_BASE_URL.",
        check=_page_url,
    )
    database_url: str = setting(
        "DATABASE_URL", help="Where Postgres is: postgresql://user:password@host:port/database.", secret=True
    )
    admin_key: str = setting(
        "TRUNKLINE_ADMIN_KEY",
        help="Secret of the admin API, sent as Authorization: Bearer; 16 characters or more.",
        secret=True,
        check=_header_text,
    )
    key_pepper: str = setting(
        "TRUNKLINE_KEY_PEPPER",
        help="Secret that keys are hashed with; the same on every edge and console, 16 characters or more.",
        secret=True,
        check=_long_enough,
    )
    master_keys: str = setting(
        "TRUNKLINE_MASTER_KEYS",
        help="Keys that upstream credentials are sealed with: VERSION:BASE64 of 32 bytes, several separated by commas.",
        secret=True,
        check=check_masters,
    )
    invoice_issuer: str = setting(
        "TRUNKLINE_INVOICE_ISSUER",
        "",
        help=r"Who writes invoices: name, address and tax number, in several lines; \n stands for a line's end.",
        check=_invoice_issuer,
    )
    top_up_url: str = setting(
        "TRUNKLINE_TOP_UP_URL",
        "",
        help="Page where an account's people pay in, with {account} for its name, such as "
        "https://buy.stripe.com/…?client_reference_id={account}; empty for none.",
        check=_top_up_url,
    )
    stripe_webhook_secrets: tuple[str, ...] = setting(
        "TRUNKLINE_STRIPE_WEBHOOK_SECRETS",
        (),
        help="Signing secrets of the endpoint /webhooks/payments/stripe at Stripe (whsec_…), the present one and one "
        "that it replaces; without any, there is no such endpoint.",
        secret=True,
    )
    status_groups: tuple[str, ...] = setting(
        "TRUNKLINE_STATUS_GROUPS",
        ("default",),
        help="Groups whose models the public status page shows, at /status; empty turns the page off.",
    )
    status_url: str = setting(
        "TRUNKLINE_STATUS_URL",
        "",
        help="URL of the status page as its readers reach it, such as https://status.example.com/status: its feed "
        "links there.",
        check=_page_url,
    )
    alert_allow: tuple[str, ...] = setting(
        "TRUNKLINE_ALERT_ALLOW",
        (),
        help="Networks, such as 10.1.2.0/24, that alerts' webhooks may go to although they are not public, also over "
        "plain http: whatever takes a POST there can be reached by whoever sets an account's alerts.",
        check=check_networks,
    )
    alert_ports: tuple[str, ...] = setting(
        "TRUNKLINE_ALERT_PORTS", ("443",), help="Ports that such a webhook may name.", check=check_ports
    )
    oidc_issuer: str = setting(
        "TRUNKLINE_OIDC_ISSUER",
        "",
        help="OpenID provider that people may sign in with, such as https://id.example.com/campus; empty for none.",
        check=_page_url,
    )
    oidc_client_id: str = setting("TRUNKLINE_OIDC_CLIENT_ID", "", help="What the provider calls the console.")
    oidc_client_secret: str = setting(
        "TRUNKLINE_OIDC_CLIENT_SECRET", "", help="Its secret there; empty for a public client.", secret=True
    )
    oidc_name: str = setting("TRUNKLINE_OIDC_NAME", "OpenID", help="What the button for it says.")
    oidc_scopes: tuple[str, ...] = setting(
        "TRUNKLINE_OIDC_SCOPES", ("openid", "profile", "email"), help="What is asked of the provider; with openid."
    )
    oidc_name_claim: str = setting(
        "TRUNKLINE_OIDC_NAME_CLAIM",
        "preferred_username",
        help="What the provider says that becomes the name of a new login.",
    )
    smtp_host: str = setting(
        "TRUNKLINE_SMTP_HOST", "", help="Server that alerts and links are mailed through; empty for none."
    )
    smtp_port: int = setting("TRUNKLINE_SMTP_PORT", 587, help="Its port.")
    smtp_security: str = setting(
        "TRUNKLINE_SMTP_SECURITY",
        STARTTLS,
        help="How the connection is encrypted: starttls, tls (from the first byte, usually port 465) or none.",
        check=lambda name: None if name in SECURITIES else f"must be one of {', '.join(SECURITIES)}",
    )
    smtp_user: str = setting("TRUNKLINE_SMTP_USER", "", help="Name to log in with; empty to send without.")
    smtp_password: str = setting("TRUNKLINE_SMTP_PASSWORD", "", help="Its password.", secret=True)
    smtp_from: str = setting("TRUNKLINE_SMTP_FROM", "trunkline@localhost", help="Address that mails come from.")

    def faults(self) -> list[str]:
        """See `runtime.config.load`."""
        return [*super().faults(), *pair_faults(CERTIFICATE, self.certificate_path, KEY, self.key_path)]

    def public_tls(self) -> TLSContext | None:
        """See `runtime.process.ProcessSettings`."""
        return server_tls("console", self.certificate_path, self.key_path)
