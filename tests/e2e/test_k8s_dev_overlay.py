"""The dev overlay of deploy/k8s serves a request: what a container lacks to do so shows here."""

import json
from collections.abc import AsyncIterator

import aiohttp
import asyncpg
import pytest

from tests.support.cluster_processes import SERVICES, ClusterHere
from tests.support.servers import running_postgres, server_directory
from tests.support.waiting import eventually

DEADLINE_S = 60.0


@pytest.fixture
async def cluster() -> AsyncIterator[ClusterHere]:
    with running_postgres() as postgres, server_directory("k8s") as folder:
        admin = await asyncpg.connect(postgres.admin_dsn)
        # As its image makes it of POSTGRES_USER and POSTGRES_DB.
        await admin.execute("create role trunkline superuser login")
        await admin.execute("create database trunkline owner trunkline")
        await admin.close()
        cluster = ClusterHere(folder, postgres.port)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


async def waits_for(session: aiohttp.ClientSession, port: int) -> list[str]:
    async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
        said = await answer.json()
        return [] if said["ready"] else said["waiting_for"]


async def test_services_wait_for_the_migration_and_then_serve(cluster: ClusterHere) -> None:
    async with aiohttp.ClientSession() as session:

        async def waiting(expected: dict[str, list[str]]) -> bool:
            return {role: await waits_for(session, cluster.ops[role]) for role in expected} == expected

        before = {"metering": ["schema"], "console": ["schema"]}
        await eventually(lambda: waiting(before), within_s=DEADLINE_S, what="wait for the schema")
        assert "ran 0001_configuration.sql" in cluster.run("migrate")
        ready: dict[str, list[str]] = {role: [] for role in SERVICES}
        await eventually(lambda: waiting(ready), within_s=DEADLINE_S, what="all are ready")

        cluster.run("apply")
        body = {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}
        headers = {"authorization": f"Bearer {cluster.api_key}"}

        async def answered() -> bool:
            url = f"{cluster.edge_url}/v1/chat/completions"
            async with session.post(url, data=json.dumps(body), headers=headers) as answer:
                return answer.status == 200 and bool((await answer.json())["choices"])

        await eventually(answered, within_s=DEADLINE_S, what="a request is answered")
