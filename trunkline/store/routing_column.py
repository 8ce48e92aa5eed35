"""The column ``routing`` of channels: what their rows say in one document. Called by `store.configuration`."""

from typing import Any

import msgspec

from trunkline.bus.snapshots import ChannelOverride, CredentialLimits, CredentialOrder, HeaderRules, Probe
from trunkline.policy.configuration_values import normal_rules
from trunkline.policy.entities import Channel


class RoutingColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    """Fields of `policy.entities.Channel`, by their names there."""

    credential_order: CredentialOrder = CredentialOrder.TURNS
    limits: CredentialLimits = CredentialLimits()
    overrides: tuple[ChannelOverride, ...] = ()
    headers: HeaderRules = HeaderRules()
    status_map: dict[int, int] = {}
    probe: Probe = Probe()


_decode = msgspec.json.Decoder(RoutingColumn).decode


def routing_column(channel: Channel) -> RoutingColumn:
    """Return what the column holds of a channel."""
    return RoutingColumn(**{name: getattr(channel, name) for name in RoutingColumn.__struct_fields__})


def routing_fields(text: str) -> dict[str, Any]:
    """Return the fields of a channel that the column holds, as they were written."""
    column = _decode(text)
    fields = {name: getattr(column, name) for name in RoutingColumn.__struct_fields__}
    # jsonb writes with other spaces and another order of names than we do.
    fields["overrides"] = tuple(
        msgspec.structs.replace(override, params=normal_rules(override.params)) for override in column.overrides
    )
    return fields
