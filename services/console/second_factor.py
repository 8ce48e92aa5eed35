"""Second factors: an authenticator app, or a recovery code. Used where somebody signs in, and where they set it up."""

import secrets

from services.console.context import Context
from trunkline.policy.logins import recovery, totp
from trunkline.policy.logins.tokens import Domain, keyed_hash
from trunkline.policy.vault import NONCE_BYTES, Sealed
from trunkline.store import second_factors
from trunkline.store.logins import Login


class SecondFactor:
    """Takes codes, each once.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def take(self, login: Login, typed: str) -> bool:
        """Use up a code of the app or a recovery code; return False if it is none that may be used."""
        step = self.step_of(login, typed)
        if step is not None:
            async with self._context.database.connection() as connection:
                return await second_factors.take_step(connection, login.id, step)
        code = recovery.normal_form(typed)
        if code is None:
            return False
        async with self._context.database.connection() as connection:
            return await second_factors.take_recovery_code(connection, login.id, self._hash(login.id, code))

    def step_of(self, login: Login, typed: str) -> int | None:
        """Return the step of a code of the login's app; None if it is none that may be used.

        Raises:
            VaultError: its secret is sealed with a master key that is not here.
        """
        if login.totp is None:
            return None
        secret = self._context.vault.open_for(owner_of(login.id), login.totp)
        return totp.accepted_step(secret, typed, self._context.clock.wall_ms() // 1000, login.totp_last_step)

    def new_secret(self, login: Login) -> tuple[str, Sealed]:
        """Return a secret for an app, and how it is stored."""
        secret = totp.secret(secrets.token_bytes(totp.SECRET_BYTES))
        return secret, self._context.vault.seal_for(owner_of(login.id), secret, secrets.token_bytes(NONCE_BYTES))

    def new_codes(self, login: Login) -> tuple[tuple[str, ...], list[bytes]]:
        """Return recovery codes, and how they are stored."""
        codes = recovery.mint(secrets.token_bytes(recovery.COUNT * recovery.CHARS))
        return codes, [self._hash(login.id, code.replace("-", "")) for code in codes]

    def _hash(self, login_id: int, code: str) -> bytes:
        return keyed_hash(Domain.RECOVERY, f"{login_id}:{code}", self._context.pepper)


def owner_of(login_id: int) -> str:
    """Return whose the sealed secret of an app is, for the vault."""
    return f"totp:{login_id}"
