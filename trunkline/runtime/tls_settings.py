"""Settings of TLS towards NATS, for services and for commands that go there themselves."""

import dataclasses

from trunkline.runtime import config
from trunkline.runtime.tls import TLSContext, ca_faults, client_tls, pair_faults

NATS_CA = "TRUNKLINE_NATS_CA_PATH"
NATS_CERTIFICATE = "TRUNKLINE_NATS_CERTIFICATE_PATH"
NATS_KEY = "TRUNKLINE_NATS_KEY_PATH"


@dataclasses.dataclass(frozen=True)
class NATSTLSSettings:
    """What is trusted at NATS, and presented there."""

    nats_ca_path: str = config.setting(
        NATS_CA,
        "",
        help="Authorities (PEM) that NATS's certificate must come from; with it no NATS is talked to without TLS.",
    )
    nats_certificate_path: str = config.setting(
        NATS_CERTIFICATE, "", help="Certificate (PEM) that is presented to NATS, with its chain."
    )
    nats_key_path: str = config.setting(NATS_KEY, "", help="Its key (PEM, without a password).")

    def faults(self) -> list[str]:
        """See `config.load`."""
        return [
            *ca_faults(NATS_CA, self.nats_ca_path),
            *pair_faults(NATS_CERTIFICATE, self.nats_certificate_path, NATS_KEY, self.nats_key_path),
        ]

    def nats_tls(self) -> TLSContext | None:
        """Return the context for NATS; None: what the system trusts, if NATS demands TLS."""
        return client_tls("nats", self.nats_ca_path, self.nats_certificate_path, self.nats_key_path)
