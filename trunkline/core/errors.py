"""The closed vocabulary of errors, by whose fault they are.

The same words stand in responses, logs, metrics and the ledger. An error is a small value where it arises
(`Fault`) and becomes a response in one place per dialect (`trunkline.protocol.<dialect>.errors`).
"""

from enum import StrEnum

import msgspec


class ErrorType(StrEnum):
    """Every way a job can end badly. The prefix says whose fault it is."""

    CLIENT_BAD_REQUEST = "client_bad_request"
    CLIENT_BAD_JSON = "client_bad_json"
    CLIENT_UNAUTHENTICATED = "client_unauthenticated"
    CLIENT_NOT_FOUND = "client_not_found"
    CLIENT_METHOD_NOT_ALLOWED = "client_method_not_allowed"
    CLIENT_MODEL_NOT_FOUND = "client_model_not_found"
    CLIENT_HEADERS_TOO_LARGE = "client_headers_too_large"
    CLIENT_BODY_TOO_LARGE = "client_body_too_large"
    CLIENT_UNSUPPORTED_MEDIA = "client_unsupported_media"
    CLIENT_UPGRADE_UNSUPPORTED = "client_upgrade_unsupported"
    CLIENT_TOO_SLOW = "client_too_slow"
    CLIENT_GONE = "client_gone"

    POLICY_KEY_BLOCKED = "policy_key_blocked"
    POLICY_MODEL_NOT_ALLOWED = "policy_model_not_allowed"
    POLICY_ENDPOINT_NOT_ALLOWED = "policy_endpoint_not_allowed"
    POLICY_ACCESS_DENIED = "policy_access_denied"
    POLICY_NO_CREDIT = "policy_no_credit"
    POLICY_BUDGET_SPENT = "policy_budget_spent"
    POLICY_RATE_LIMITED = "policy_rate_limited"

    UPSTREAM_BAD_REQUEST = "upstream_bad_request"
    UPSTREAM_CREDENTIAL = "upstream_credential"
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    UPSTREAM_OVERLOADED = "upstream_overloaded"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_ADDRESS = "upstream_address"
    UPSTREAM_INVALID = "upstream_invalid"
    UPSTREAM_CUT = "upstream_cut"
    UPSTREAM_TIMEOUT = "upstream_timeout"

    GATEWAY_BUSY = "gateway_busy"
    GATEWAY_OVERLOADED = "gateway_overloaded"
    GATEWAY_NO_CHANNEL = "gateway_no_channel"
    GATEWAY_NO_DISPATCHER = "gateway_no_dispatcher"
    GATEWAY_DISPATCHER_LOST = "gateway_dispatcher_lost"
    GATEWAY_FRAME_LOST = "gateway_frame_lost"
    GATEWAY_SHUTTING_DOWN = "gateway_shutting_down"
    GATEWAY_OUTRUN = "gateway_outrun"
    GATEWAY_NOT_READY = "gateway_not_ready"
    GATEWAY_INTERNAL = "gateway_internal"


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that went wrong, as a value that travels on the bus.

    Attributes:
        type: from the closed vocabulary.
        message: one or two sentences for the client that say what to do; never a secret, prompt or answer.
        param: the request field at fault, where one is.
        retry_after_ms: when a retry has a chance, where that is known.
        code: a finer machine-readable reason where a dialect has one, such as ``context_length_exceeded``.
    """

    type: ErrorType
    message: str
    param: str | None = None
    retry_after_ms: int | None = None
    code: str | None = None


class FaultError(Exception):
    """Carries a `Fault` up to the one place that turns it into a response."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.type.value}: {fault.message}")
        self.fault = fault
