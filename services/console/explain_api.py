"""Why a job goes where it goes: the plan of one that might come, and what became of one that came."""

from collections.abc import Iterable

import asyncpg
from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bad_request, bind, read_struct
from services.console.live import Live
from trunkline.bus import snapshots, subjects
from trunkline.bus.port import Bus
from trunkline.bus.snapshots import KeyPolicy, ModelSnapshot
from trunkline.core import limits
from trunkline.core.ids import parse_job
from trunkline.policy.admin_accounts import KeyView
from trunkline.policy.admin_explain import JobAttempt, JobExplained, JobThen, NotKept, RoutePlan, RouteQuestion
from trunkline.policy.explaining import explain
from trunkline.policy.operations import explain as operations
from trunkline.policy.route_view import Site
from trunkline.protocol.names import CONVERSATIONAL
from trunkline.store import account_views
from trunkline.store.configuration import NotFoundError, unix_ms
from trunkline.store.credential_states import list_states
from trunkline.store.database import StoreError
from trunkline.store.job_names import JobNames, read_job_names
from trunkline.store.usage import AttemptUsage, find_request


class ExplainAPI:
    """Handlers of ``/explain``.

    Args:
        context: of the console.
        bus: of the process: models are read as edges have them.
        live: channels and weights, as dispatchers have them.
    """

    def __init__(self, context: Context, bus: Bus, live: Live) -> None:
        self._context = context
        self._bus = bus
        self._live = live

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [bind(operations.ROUTING, self._routing), bind(operations.JOB, self._job)]

    async def _routing(self, request: web.Request) -> web.Response:
        question = await read_struct(request, RouteQuestion)
        if question.dialect is not None and question.dialect not in CONVERSATIONAL:
            raise bad_request(f"dialect must be one of {', '.join(CONVERSATIONAL)}.")
        if (question.account is None) is not (question.key is None):
            raise bad_request("A key is named together with its account.")
        return answer(await self._plan(question))

    async def _plan(self, question: RouteQuestion) -> RoutePlan:
        policy = await self._policy(question)
        model = await self._model(question.model)
        models = {} if model is None else {model.name: model, **await self._fallbacks(model)}
        closed = await self._bus.kv_get(subjects.KV_ACCESS, subjects.kv_token(question.model))
        site = Site(
            channels=self._live.channels,
            weights=self._live.weights,
            refused=await self._refused(),
            models=models,
            closed=() if closed is None else snapshots.decode_access(closed).closed,
        )
        return explain(question, policy, site, self._context.clock.wall_ms())

    async def _policy(self, question: RouteQuestion) -> KeyPolicy:
        if question.account is None or question.key is None:
            return KeyPolicy(0, "", 0, "", groups=question.groups)
        async with self._context.database.connection() as connection:
            return _policy_of((await account_views.keys(connection, question.account, question.key))[0])

    async def _model(self, name: str) -> ModelSnapshot | None:
        value = await self._bus.kv_get(subjects.KV_MODELS, subjects.kv_token(name))
        return None if value is None else snapshots.decode_model(value)

    async def _fallbacks(self, model: ModelSnapshot) -> dict[str, ModelSnapshot]:
        routing = model.routing
        names = (*routing.fallbacks, *routing.context_fallbacks, *routing.filter_fallbacks)
        found = [await self._model(name) for name in dict.fromkeys(names)]
        return {other.name: other for other in found if other is not None}

    async def _refused(self) -> frozenset[int] | None:
        try:
            async with self._context.database.connection() as connection:
                return frozenset(state.id for state in await list_states(connection, refused=True))
        except (StoreError, asyncpg.PostgresError):
            return None  # the plan says so; all else is on the bus

    async def _job(self, request: web.Request) -> web.Response:
        text = request.match_info["request"]
        try:
            job = parse_job(text)
        except ValueError as error:
            raise bad_request("A request's id is what its answer had as x-request-id, such as 0190…-….") from error
        async with self._context.database.connection() as connection:
            attempts = await find_request(connection, job)
            if not attempts:
                raise NotFoundError(
                    f"nothing was settled of a request {text!r}: it is not over, made no upstream call, or is too old"
                )
            names = await read_job_names(
                connection,
                account=attempts[0].account,
                key=attempts[0].key,
                channels={attempt.channel for attempt in attempts},
                credentials={attempt.credential for attempt in attempts},
            )
        return answer(JobExplained(text, _then(attempts, names), await self._plan(_question(attempts, names))))


def _policy_of(key: KeyView) -> KeyPolicy:
    return KeyPolicy(
        key=key.id,
        key_name=key.name,
        account=0,
        account_name=key.account,
        groups=key.groups,
        models=key.models,
        expires_ms=unix_ms(key.expires_at),
        blocked=key.blocked,
        strategy=key.strategy,
    )


def _asked(attempt: AttemptUsage) -> str:
    return attempt.asked or attempt.model


def _question(attempts: list[AttemptUsage], names: JobNames) -> RouteQuestion:
    first = attempts[0]
    if names.account is None or names.key is None:
        # All that is left of its key: the groups through which its attempts were made.
        groups = tuple(dict.fromkeys(attempt.group for attempt in attempts))
        return RouteQuestion(_asked(first), groups=groups, stream=first.stream)
    return RouteQuestion(_asked(first), account=names.account, key=names.key, stream=first.stream)


def _then(attempts: list[AttemptUsage], names: JobNames) -> JobThen:
    first = attempts[0]
    return JobThen(
        account=names.account or f"#{first.account}",
        key=names.key or f"#{first.key}",
        asked=_asked(first),
        served=_served(attempts),
        stream=first.stream,
        attempts=tuple(_attempt(attempt, names) for attempt in attempts),
        not_kept=tuple(NotKept),
    )


def _served(attempts: Iterable[AttemptUsage]) -> str | None:
    """Return the model of the whole answer, or of the one that the client pays although it was cut off."""
    whole = [attempt.model for attempt in attempts if not attempt.outcome]
    paid = [attempt.model for attempt in attempts if attempt.charged]
    return next(iter((*whole, *paid)), None)


def _attempt(attempt: AttemptUsage, names: JobNames) -> JobAttempt:
    return JobAttempt(
        attempt=attempt.attempt % limits.ATTEMPTS_PER_OFFER_MAX,
        offer=attempt.attempt // limits.ATTEMPTS_PER_OFFER_MAX,
        channel=names.channels.get(attempt.channel, f"#{attempt.channel}"),
        credential=names.credentials.get(attempt.credential),
        model=attempt.model,
        upstream_model=attempt.upstream_model,
        group=attempt.group,
        outcome=attempt.outcome or None,
        status=attempt.status,
        started_at=attempt.started_at,
        first_token_ms=attempt.first_token_ms or None,
        duration_ms=attempt.duration_ms,
        charged=attempt.charged,
        continues=attempt.continues,
    )
