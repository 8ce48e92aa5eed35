"""What a chat provider does not get of a request, and how that is reported. Called by the request's writers."""

from collections.abc import Iterable

from trunkline.core.errors import FaultError
from trunkline.protocol.fidelity import TABLE, Crossing, Feature, Mark
from trunkline.protocol.names import OPENAI_CHAT
from trunkline.protocol.openai_chat.client_error import bad_field, not_carried


def lose(crossing: Crossing, feature: Feature, field: str = "") -> None:
    """Report a feature that this provider does not get, also where chat as such has it.

    `Crossing.lose` takes only what the table calls lost. But a vendor may lack what OpenAI has (its `VendorOptions` say
    so), and the neutral model may have no field for what chat has. Such a feature is refused if any dialect must refuse
    it, else dropped by its name.

    Raises:
        FaultError: ``client_bad_request``: it must not be lost.
    """
    row = TABLE[feature]
    if OPENAI_CHAT in row.marks:
        crossing.lose(feature, field)
    elif Mark.REFUSED in row.marks.values():
        name = field or row.fields.get(crossing.client, feature.value)
        raise not_carried(name, f"`{name}`")
    else:
        crossing.lose(Feature.EXTRA, field or feature.value)


def lose_all(crossing: Crossing, features: Iterable[Feature], extras: Iterable[str]) -> None:
    """Report what the neutral request has no fields for.

    Raises:
        FaultError: ``client_bad_request``: something of it must not be lost.
    """
    for feature in features:
        lose(crossing, feature)
    crossing.lose_all((), extras)


def conversation_field(crossing: Crossing) -> str:
    """Return what the client calls the conversation, such as ``contents``."""
    return TABLE[Feature.PREFILL].fields.get(crossing.client, "messages")


def bad_conversation(crossing: Crossing, message: str) -> FaultError:
    """Return the error for a conversation that chat cannot hold."""
    return bad_field(conversation_field(crossing), message)
