"""Wires a console together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import structlog
from aiohttp import web

from services.console import answer_headers
from services.console.accounts_api import AccountsAPI
from services.console.alerts_api import AlertsAPI
from services.console.announcements_api import AnnouncementsAPI
from services.console.audit import AuditAPI, AuditLog
from services.console.billing_api import BillingAPI
from services.console.channel_news import ChannelNews
from services.console.channels_api import ChannelsAPI
from services.console.codes_api import CodesAPI
from services.console.config import ConsoleSettings
from services.console.configuration_api import ConfigurationAPI
from services.console.context import Context
from services.console.deliverer import Deliverer
from services.console.edge_call import EdgeClient
from services.console.explain_api import ExplainAPI
from services.console.export_api import ExportAPI
from services.console.health_api import HealthAPI
from services.console.health_stream import HealthStream
from services.console.historian import Historian
from services.console.http import BODY_BYTES_MAX
from services.console.imports_api import ImportsAPI
from services.console.keys_api import KeysAPI
from services.console.ledger_api import LedgerAPI
from services.console.live import Live
from services.console.live_api import LiveAPI
from services.console.metrics import ConsoleMetrics
from services.console.payments_api import PaymentsAPI, configured_providers
from services.console.peers import Peers
from services.console.people import People, settings_faults
from services.console.playground_api import PlaygroundAPI
from services.console.prices_api import PricesAPI
from services.console.probes_api import ProbesAPI
from services.console.projector import Projector
from services.console.proxies import behind
from services.console.public_prices_api import PublicPricesAPI
from services.console.reseal_api import ResealAPI
from services.console.savings_api import SavingsAPI
from services.console.sessions import require_still
from services.console.shell import Shell
from services.console.spending_api import SpendingAPI
from services.console.square_api import SquareAPI
from services.console.status_api import StatusAPI
from services.console.streams import Room
from services.console.supply_api import SupplyAPI
from services.console.system_api import SystemAPI
from services.console.terms_api import TermsAPI
from services.console.upkeep import Upkeep
from services.console.usage_explorer_api import UsageExplorerAPI
from services.console.users_api import UsersAPI
from services.console.web_files import WebFiles
from trunkline.bus.messages import Beat
from trunkline.policy.addresses import TrustedProxies
from trunkline.policy.fetching import FetchRules, parse_networks
from trunkline.policy.vault import Vault, parse_masters
from trunkline.runtime import config, connection_watch
from trunkline.runtime.connection_watch import ConnectionWatch
from trunkline.runtime.http_client import HTTPClientPool
from trunkline.runtime.http_fetch import SystemResolver
from trunkline.runtime.http_post import HTTPPoster
from trunkline.runtime.process import Process
from trunkline.runtime.smtp import SMTPMailer, SMTPServer
from trunkline.runtime.tls_site import open_site
from trunkline.runtime.upstream_guard import UpstreamGuard
from trunkline.store import database
from trunkline.store.database import Database
from trunkline.store.schema import SchemaGate

log = structlog.get_logger()

AGENT = "trunkline"
"""What webhooks say they come from."""

SHUTDOWN_TIMEOUT_S = 10.0
"""Requests in progress get this long when the console stops."""


class Console:
    """A running console; see `runtime.process.Service`.

    Args:
        process: from the skeleton.
        settings: of the console.
        pool: of the process.
    """

    def __init__(self, process: Process, settings: ConsoleSettings, pool: Database) -> None:
        self._process = process
        metrics = ConsoleMetrics(process.registry)
        self._gate = SchemaGate(pool, process.clock)
        self._projector = Projector(pool, process.bus, clock=process.clock, metrics=metrics)
        self._upkeep = Upkeep(pool, clock=process.clock, metrics=metrics)
        self._historian = Historian(
            pool, HealthStream(process.bus), settings.status_groups, clock=process.clock, metrics=metrics
        )
        self._resolver = SystemResolver()
        self._mailer = _mailer(settings)
        rules = FetchRules(parse_networks(settings.alert_allow), frozenset(map(int, settings.alert_ports)))
        self._deliverer = Deliverer(
            pool,
            clock=process.clock,
            metrics=metrics,
            pepper=settings.key_pepper.encode(),
            poster=HTTPPoster(
                HTTPClientPool(clock=process.clock, tasks=process.tasks), rules, self._resolver, agent=AGENT
            ),
            mailer=self._mailer,
        )
        self._peers = Peers(process.bus, process.clock)
        self._live = Live(process.bus, pool, clock=process.clock, tasks=process.tasks)
        self._news = ChannelNews(process.bus, clock=process.clock, tasks=process.tasks)
        guard = UpstreamGuard(settings.upstream_allow, clock=process.clock)
        self._upstreams = HTTPClientPool(clock=process.clock, tasks=process.tasks, guard=guard)
        vault = Vault(parse_masters(settings.master_keys))
        self._masters = vault.versions
        context = Context(
            database=pool,
            clock=process.clock,
            pepper=settings.key_pepper.encode(),
            vault=vault,
            projector=self._projector,
            upstream_networks=guard.networks,
            still=require_still,
        )
        # To the edges, whose address is a setting; all else that is asked may lead where others say.
        self._edges = HTTPClientPool(clock=process.clock, tasks=process.tasks)
        self._people = People(context, settings, self._mailer, self._upstreams)
        shell = Shell(settings.admin_key, self._people.sessions, AuditLog(pool), metrics)
        self._watch = ConnectionWatch(process.clock)
        proxies = behind(TrustedProxies(settings.trusted_proxies))
        app = web.Application(
            client_max_size=BODY_BYTES_MAX, middlewares=[self._watch.middleware(), proxies, shell.middleware()]
        )
        app.on_response_prepare.append(answer_headers.complete)
        app.router.add_routes(self._routes(context, settings, metrics))
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S, keepalive_timeout=connection_watch.IDLE_S
        )
        self._site: web.BaseSite | None = None
        self._loops: list[asyncio.Task[None]] = []
        self.port = 0

    def _routes(
        self, context: Context, settings: ConsoleSettings, metrics: ConsoleMetrics
    ) -> list[web.AbstractRouteDef]:
        """Return all that the console answers."""
        room = Room()
        apis = (
            AccountsAPI(context),
            UsersAPI(context),
            self._people,
            KeysAPI(context),
            TermsAPI(context),
            ChannelsAPI(context),
            PricesAPI(context),
            SupplyAPI(context),
            LedgerAPI(context, room),
            ExportAPI(context, room),
            UsageExplorerAPI(context),
            SavingsAPI(context),
            SpendingAPI(context),
            CodesAPI(context),
            AlertsAPI(context),
            PaymentsAPI(context, configured_providers(settings), metrics),
            SystemAPI(context, self._peers),
            ConfigurationAPI(context, room),
            HealthAPI(context),
            SquareAPI(context, self._news, settings.base_url.rstrip("/"), settings.status_groups),
            PlaygroundAPI(context, EdgeClient(self._edges, (settings.edge_url or settings.base_url).rstrip("/"))),
            AuditAPI(context),
            AnnouncementsAPI(context),
            PublicPricesAPI(context, settings.status_groups),
            BillingAPI(context, room, settings.invoice_issuer.replace("\\n", "\n"), settings.top_up_url),
            ImportsAPI(context, room),
            ResealAPI(context, self._peers),
            ProbesAPI(context, self._upstreams),
            ExplainAPI(context, self._process.bus, self._live),
            LiveAPI(self._live, self._people.sessions, self._process.clock),
            StatusAPI(context.database, settings.status_groups, settings.status_url, clock=self._process.clock),
            WebFiles(),
        )
        return [route for api in apis for route in api.routes()]

    async def start(self, host: str, port: int) -> None:
        """Begin to project and to answer."""
        await self._peers.start()
        await self._live.start()
        spawn, gate = self._process.tasks.spawn, self._gate
        self._loops = [
            spawn(gate.run(), name="schema"),
            spawn(gate.then(self._projector.run), name="projector"),
            spawn(self._news.start(), name="channel_news"),
            spawn(gate.then(self._people.run), name="letters"),
            spawn(gate.then(self._upkeep.run), name="upkeep"),
            spawn(gate.then(self._deliverer.run), name="deliverer"),
            spawn(gate.then(self._historian.run), name="historian"),
        ]
        await self._runner.setup()
        self._loops.append(spawn(self._watch.run(self._runner), name="connection_watch"))
        try:
            self._site, self.port = await open_site(
                self._runner,
                host,
                port,
                self._process.tls,
                connections_max=connection_watch.CONNECTIONS_MAX,
                clock=self._process.clock,
                tasks=self._process.tasks,
            )
        except OSError as error:
            config.exit_with_faults([f"the console's port {port} cannot be bound: {error.strerror}"])
        log.info("console_listening", host=host, port=self.port)

    def not_ready(self) -> list[str]:
        """See `runtime.process.Service`."""
        if self._gate.waits_for:
            return [self._gate.waits_for]
        return [] if self._projector.postgres_up else ["postgres"]

    def beat(self, beat: Beat) -> Beat:
        """See `runtime.process.Service`."""
        return msgspec.structs.replace(beat, masters=self._masters)

    async def drain(self) -> None:
        """See `runtime.process.Service`."""
        self._live.close()
        if self._site is not None:
            await self._site.stop()

    async def stop(self) -> None:
        """End what is left, and give all connections back to the pool."""
        self._live.close()
        await self._runner.cleanup()
        await self._live.stop()
        await self._process.tasks.end(*self._loops)
        self._people.close()
        self._upstreams.close()
        self._resolver.close()
        if self._mailer is not None:
            self._mailer.close()


def _mailer(settings: ConsoleSettings) -> SMTPMailer | None:
    if not settings.smtp_host:
        return None
    return SMTPMailer(
        SMTPServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            user=settings.smtp_user,
            password=settings.smtp_password,
            sender=settings.smtp_from,
        )
    )


@contextlib.asynccontextmanager
async def open_console(process: Process, settings: ConsoleSettings) -> AsyncIterator[Console]:
    """Start a console; see `runtime.process.main`."""
    if faults := settings_faults(settings):
        config.exit_with_faults(faults)
    pool = await database.connect(settings.database_url, application=process.id)
    console = Console(process, settings, pool)
    try:
        await console.start(settings.host, settings.port)
        yield console
    finally:
        await console.stop()
        await pool.close()
