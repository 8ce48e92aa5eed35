"""Compares the ledger of a stack with what its counting upstream says, once everything has come to rest."""

import asyncpg
import aiohttp
import nats

from tests.support.live_stack import LiveStack
from tests.support.waiting import eventually
from trunkline.bus import subjects
from trunkline.dev.counts import ModelUsage
from trunkline.store.database import single_connection
from trunkline.store.ledger import verify

REST_TIMEOUT_S = 60.0
"""For usage that a killed process had in hand: JetStream gives it to another one after 30 s."""

_REPORTED = """
    select split_part(upstream_model, '?', 1) as model, count(*) as answers,
           sum(input)::bigint as prompt, sum(output)::bigint as completion
    from usage where not counted group by 1
"""
