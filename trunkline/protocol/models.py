"""A model as the lists of all dialects show it. The edge makes one per model that a key may use."""

import msgspec


class ModelCard(msgspec.Struct, frozen=True):
    """One model.

    Attributes:
        id: public model name.
        created: Unix time in seconds.
        owned_by: who offers it.
    """

    id: str
    created: int
    owned_by: str
