"""One request on its way through the edge: what the steps of the path have found out so far."""

from services.edge.routes import Match
from trunkline.bus.messages import Fallback
from trunkline.bus.snapshots import ModelSnapshot, Strategy
from trunkline.core.ids import JobID, job_text
from trunkline.policy.keys import CompiledKey
from trunkline.policy.lease import Hold
from trunkline.protocol import registry
from trunkline.protocol.dialect import ClientDialect, ClientRequest
from trunkline.protocol.names import OPENAI_CHAT
from trunkline.protocol.routing_wish import RoutingWish
from trunkline.runtime.http_exchange import Exchange
from trunkline.runtime.tracer import Span


class ClientJob:
    """One request. Fields are filled in by the steps, in the order of the path.

    Args:
        exchange: the HTTP side.
        job: the id, which the client sees as ``x-request-id``.
        begun: monotonic seconds when the request was whole.
    """

    __slots__ = (
        "asked",
        "begun",
        "channel",
        "charge_nano",
        "dialect",
        "exchange",
        "fallbacks",
        "first_byte",
        "groups",
        "hold",
        "job",
        "key",
        "limit_lines",
        "match",
        "model",
        "moved_from",
        "moved_why",
        "offers",
        "outcome",
        "request_id",
        "served",
        "span",
        "status",
        "strategy",
        "told",
        "wish",
    )

    key: CompiledKey
    asked: ClientRequest
    model: ModelSnapshot

    def __init__(self, exchange: Exchange, job: JobID, begun: float) -> None:
        self.exchange = exchange
        self.job = job
        self.request_id = job_text(job)
        self.begun = begun
        self.match: Match | None = None
        self.dialect: ClientDialect = registry.CLIENTS[OPENAI_CHAT]
        self.groups: tuple[str, ...] = ()
        self.hold: Hold | None = None
        self.limit_lines = b""
        self.charge_nano: int | None = None
        self.told = b""
        self.moved_from = ""
        self.moved_why = ""
        self.wish: RoutingWish | None = None
        self.strategy = Strategy.PRIORITY
        self.fallbacks: tuple[Fallback, ...] = ()
        self.served = ""
        self.first_byte = 0.0
        self.offers = 0
        self.status = 0
        self.channel = ""
        self.span: Span | None = None
        self.outcome = ""

    @property
    def keepalive(self) -> bytes:
        """What may stand between two events of its stream; a comment beside conversations, which have no pings."""
        return b": keepalive\n\n" if self.match is not None and self.match.endpoint else self.dialect.keepalive

    @property
    def words(self) -> str:
        """What the request is written in: the name of an endpoint beside conversations, or of the dialect."""
        return (self.match.endpoint if self.match is not None else "") or self.dialect.name
