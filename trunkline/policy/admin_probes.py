"""What the admin API says of a channel's provider when it is asked on the spot."""

import msgspec

from trunkline.bus.snapshots import ProbeKind
from trunkline.core.errors import ErrorType
from trunkline.policy.probing import ProbeResult


class ChannelTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be tested.

    Attributes:
        model: public name; the provider lets it work and charges for it. Without one its list of models is asked
            for, which costs nothing, and only where it has no such list the model that the channel's probe names.
        credential: id of it; the channel's first if left out.
    """

    model: str | None = None
    credential: int | None = None


class ChannelTested(msgspec.Struct, frozen=True):
    """What came of it. Nothing that a model said is in it.

    Attributes:
        channel: name.
        credential: id of the one that was used; null where the provider wants none.
        kind: what was asked.
        model: public name of the model that was asked; null for the list of models.
        result: see there.
        status: of HTTP, as the provider sent it; null if no answer came.
        took_ms: from the request to the end of the answer.
        error: type of what is wrong; null if nothing is.
        message: the provider's own words about that, without anything that looks like a secret, or ours.
    """

    channel: str
    credential: int | None
    kind: ProbeKind
    model: str | None
    result: ProbeResult
    status: int | None
    took_ms: int
    error: ErrorType | None
    message: str


class UpstreamModel(msgspec.Struct, frozen=True):
    """A model that a provider lists.

    Attributes:
        name: the provider's.
        mapped_as: public names under which the channel serves it.
    """

    name: str
    mapped_as: tuple[str, ...]


class DiscoveredModels(msgspec.Struct, frozen=True):
    """What a channel's provider lists.

    Attributes:
        channel: name.
        models: by name.
        unlisted: public names whose upstream model is not on the list; it may be served all the same.
        complete: whether the list is whole; a long one is cut.
    """

    channel: str
    models: tuple[UpstreamModel, ...]
    unlisted: tuple[str, ...]
    complete: bool
