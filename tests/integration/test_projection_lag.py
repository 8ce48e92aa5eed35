"""How far the projection is behind, as the console's upkeep looks at it."""

from prometheus_client import CollectorRegistry

from services.console.metrics import ConsoleMetrics
from services.console.upkeep import Upkeep
from trunkline.runtime.clock import SystemClock
from trunkline.store.database import Database


async def test_it_is_told_by_number_and_age(database: Database) -> None:
    registry = CollectorRegistry()
    upkeep = Upkeep(database, clock=SystemClock(), metrics=ConsoleMetrics(registry))
    async with database.connection() as connection:
        await connection.execute("delete from outbox")
    await upkeep.once()
    assert registry.get_sample_value("trunkline_console_outbox_entries") == 0
    assert registry.get_sample_value("trunkline_console_outbox_age_seconds") == 0
    async with database.connection() as connection:
        await connection.execute(
            "insert into outbox (bucket, token, created_at) values"
            " ('keys', 'a', now() - interval '90 seconds'), ('keys', 'b', now())"
        )
    await upkeep.once()
    assert registry.get_sample_value("trunkline_console_outbox_entries") == 2
    age_s = registry.get_sample_value("trunkline_console_outbox_age_seconds")
    assert age_s is not None
    assert 90 <= age_s < 120
