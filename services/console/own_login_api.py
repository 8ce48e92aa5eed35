"""What people change of their own login: password, language, authenticator app, recovery codes."""

import structlog
from aiohttp import web

from services.console.http import RequestError, answer, bind, read_struct, refuse
from services.console.identity import Identity, check_language, check_password
from services.console.second_factor import SecondFactor
from trunkline.core.errors import ErrorType
from trunkline.policy.admin_identity import (
    LanguageChoice,
    NewTOTP,
    PasswordChange,
    PasswordProof,
    RecoveryCodes,
    TOTPCode,
)
from trunkline.policy.logins import totp
from trunkline.policy.logins.guesses import Guess
from trunkline.policy.operations import identity as operations
from trunkline.policy.strict import FaultList
from trunkline.store import logins, second_factors, sessions
from trunkline.store.configuration import ConflictError
from trunkline.store.registration import read_registration

log = structlog.get_logger()


class OwnLoginAPI:
    """Handlers under ``/me`` but for sessions.

    Args:
        identity: see there.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._context = identity.context
        self._second_factor = SecondFactor(identity.context)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(operations.CHANGE_PASSWORD, self._change_password),
            bind(operations.SET_LANGUAGE, self._set_language),
            bind(operations.BEGIN_TOTP, self._begin_totp),
            bind(operations.CONFIRM_TOTP, self._confirm_totp),
            bind(operations.REMOVE_TOTP, self._remove_totp),
            bind(operations.NEW_RECOVERY_CODES, self._new_recovery_codes),
        ]

    async def _change_password(self, request: web.Request) -> web.Response:
        wanted = await read_struct(request, PasswordChange)
        session = (await self._identity.session_of(request)).session
        login = await self._identity.own_login(request)
        await self._identity.prove(request, login, wanted.password)
        async with self._context.database.connection() as connection:
            settings = await read_registration(connection)
        faults = FaultList()
        check_password(wanted.new_password, (login.name, login.email or ""), settings, faults, "new_password")
        refuse(faults)
        password_hash = await self._identity.passwords.hash(wanted.new_password)
        async with self._context.database.transaction() as connection:
            now = await self._identity.login_of(connection, request, lock=True)
            if now.password_hash != login.password_hash:
                raise ConflictError("the password has just been changed elsewhere")
            await logins.set_password(connection, login.id, password_hash)
            # Whoever knew the old one is out.
            await sessions.end_sessions(connection, login.id, but=session)
        self._identity.sessions.forget()
        log.info("password_changed", login=login.id)
        return web.Response(status=204)

    async def _set_language(self, request: web.Request) -> web.Response:
        language = (await read_struct(request, LanguageChoice)).language
        faults = FaultList()
        check_language(language, faults)
        refuse(faults)
        async with self._context.database.transaction() as connection:
            login = await self._identity.login_of(connection, request)
            await logins.set_language(connection, login.id, language)
        return web.Response(status=204)

    async def _begin_totp(self, request: web.Request) -> web.Response:
        proof = await read_struct(request, PasswordProof)
        login = await self._identity.own_login(request)
        await self._identity.prove(request, login, proof.password)
        secret, sealed = self._second_factor.new_secret(login)
        async with self._context.database.connection() as connection:
            settings = await read_registration(connection)
            if not await second_factors.begin_totp(connection, login.id, sealed):
                raise ConflictError("an app is set up already; remove it first")
        return answer(NewTOTP(secret, totp.app_uri(secret, login.name, settings.site_name)))

    async def _confirm_totp(self, request: web.Request) -> web.Response:
        typed = (await read_struct(request, TOTPCode)).code
        login = await self._identity.own_login(request)
        if login.totp is None or login.totp_confirmed:
            raise ConflictError("no app waits to be confirmed; begin anew")
        async with self._identity.guessing.counted(request, Guess.SECOND_FACTOR, str(login.id)) as attempt:
            step = self._second_factor.step_of(login, typed)
            attempt.right = step is not None
        if step is None:
            message = "The code is wrong. Look whether the clock of the device is right."
            raise RequestError(403, ErrorType.POLICY_ACCESS_DENIED, message)
        codes, hashes = self._second_factor.new_codes(login)
        async with self._context.database.transaction() as connection:
            if not await second_factors.confirm_totp(connection, login.id, login.totp, step):
                raise ConflictError("another secret was made meanwhile; begin anew")
            await second_factors.put_recovery_codes(connection, login.id, hashes)
        log.info("second_factor_added", login=login.id)
        return answer(RecoveryCodes(codes))

    async def _remove_totp(self, request: web.Request) -> web.Response:
        proof = await read_struct(request, PasswordProof)
        login = await self._identity.own_login(request)
        await self._identity.prove(request, login, proof.password)
        async with self._context.database.transaction() as connection:
            await second_factors.remove_totp(connection, login.id)
        log.info("second_factor_removed", login=login.id)
        return web.Response(status=204)

    async def _new_recovery_codes(self, request: web.Request) -> web.Response:
        proof = await read_struct(request, PasswordProof)
        login = await self._identity.own_login(request)
        await self._identity.prove(request, login, proof.password)
        codes, hashes = self._second_factor.new_codes(login)
        async with self._context.database.transaction() as connection:
            now = await self._identity.login_of(connection, request, lock=True)
            if not now.second_factor:
                raise ConflictError("there is no app that the codes could stand in for; set one up first")
            await second_factors.put_recovery_codes(connection, login.id, hashes)
        return answer(RecoveryCodes(codes))
