"""Scripts that were ordered for a credential: ``POST /script``. Pure; used by `upstream`."""

import msgspec

from trunkline.dev.demo import script
from trunkline.dev.demo.script import Script, ScriptError

ORDERS_MAX = 1000
EVERY_CREDENTIAL = "*"


class ScriptOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What is done with the requests of a credential; null ends it."""

    script: Script | None
    credential: str = EVERY_CREDENTIAL


class Orders:
    """All that stand.

    Attributes:
        scripts: by credential.
    """

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self._decode = msgspec.json.Decoder(ScriptOrder).decode

    def take(self, body: bytes) -> bytes:
        """Take an order and return it as it is understood.

        Raises:
            msgspec.DecodeError: the body is none.
            ScriptError: it cannot be followed.
        """
        order = self._decode(body)
        if order.script is None:
            self.scripts.pop(order.credential, None)
        elif order.credential not in self.scripts and len(self.scripts) >= ORDERS_MAX:
            raise ScriptError(f"At most {ORDERS_MAX} credentials have a script.")
        else:
            self.scripts[order.credential] = script.check(order.script)
        return msgspec.json.encode(order)

    def of(self, credential: str) -> Script | None:
        """Return the script of a credential, or the one for all."""
        return self.scripts.get(credential, self.scripts.get(EVERY_CREDENTIAL))
