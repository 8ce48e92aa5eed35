"""What the admin API says of the health of channels and credentials; the rest is in `policy.admin_api`."""

import datetime as dt

import msgspec


class HistoryRow(msgspec.Struct, frozen=True):
    """What health saw of a channel, or of one model of it, in a minute, an hour or a day.

    Attributes:
        at: when it begins, in UTC.
        successes, failures: attempts and probes.
        first_token_ms: mean time to the first token of streams; None if there was none.
        serving_s, ejected_s, probing_s: how long the channel was in each state; what is missing is not known.
    """

    at: dt.datetime
    successes: int
    failures: int
    first_token_ms: int | None
    serving_s: int
    ejected_s: int
    probing_s: int


class CredentialStateView(msgspec.Struct, frozen=True):
    """How a credential stands with its provider.

    Attributes:
        channel: name of its channel.
        id: of the credential.
        mark: the start of its keyed hash, as in a channel's list of credentials.
        refused_at: since when the provider refuses it; None while it serves, as far as is known.
        status: HTTP status of the last refusal; None if there was none.
        heard_at: when the last news of it came; None if none ever did.
    """

    channel: str
    id: int
    mark: str
    refused_at: dt.datetime | None
    status: int | None
    heard_at: dt.datetime | None
