"""Postgres is lost long after its last backup: the streamed log brings back the rest (docs/operating/backup.md)."""

# ruff: noqa: S603 - Postgres's own programs

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from tests.support.servers import ENVIRONMENT, PostgresServer, Server, server_directory
from tests.support.waiting import eventually
from trunkline.store.migrate import migrate
from trunkline.store.schema import SchemaState, read_state

RESTORE_COMMAND = "cp {log}/%f %p || cp {log}/%f.partial %p"
"""The last piece of the log is not whole yet, and has another name."""

SLOT = "archive"
"""Without it Postgres reuses a piece of the log that is full before it was sent, and the archive has a hole."""

_WRITTEN = "select flush_lsn >= pg_current_wal_lsn() from pg_stat_replication where application_name = 'pg_receivewal'"


def _command(server: PostgresServer, program: str, *arguments: str) -> list[str]:
    return [str(server._isready.with_name(program)), f"--dbname={server.admin_dsn}", *arguments]


def _run(server: PostgresServer, program: str, *arguments: str) -> None:
    """Run one of Postgres's programs as the server's user to its end."""
    command = _command(server, program, *arguments)
    subprocess.run(command, check=True, env=ENVIRONMENT, cwd="/", user=server._user)


@contextmanager
def _running(server: PostgresServer, program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run one for the length of the block."""
    command = _command(server, program, *arguments)
    process = subprocess.Popen(command, env=ENVIRONMENT, cwd="/", user=server._user, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def _folder(path: Path, user: str | None) -> Path:
    path.mkdir(mode=0o700)
    if user is not None:
        os.chown(path, pwd.getpwnam(user).pw_uid, -1)
    return path


async def test_the_log_brings_back_what_came_after_the_last_backup() -> None:
    with server_directory("archived") as directory:
        server = PostgresServer(directory)
        user = server._user
        log, base = _folder(directory / "log", user), _folder(directory / "base", user)
        restored = None
        server.start()
        try:
            await migrate(server.admin_dsn)
            _run(server, "pg_receivewal", f"--slot={SLOT}", "--create-slot")
            stream = [f"--slot={SLOT}", f"--directory={log}", "--synchronous"]
            with _running(server, "pg_receivewal", *stream) as receiver:
                connection = await asyncpg.connect(server.admin_dsn)

                async def archived() -> bool:
                    return bool(await connection.fetchval(_WRITTEN))

                await eventually(archived, within_s=20, what="the log is streamed")
                # It falls behind, and must find all of it when it goes on.
                receiver.send_signal(signal.SIGSTOP)
                _run(server, "pg_basebackup", f"--pgdata={base}", "--checkpoint=fast")
                await connection.execute("set synchronous_commit = on")
                await connection.execute("insert into accounts (name) values ('of after the backup')")
                await connection.fetchval("select pg_switch_wal()")
                await connection.execute("checkpoint")
                receiver.send_signal(signal.SIGCONT)
                await eventually(archived, within_s=20, what="the log is written")
                await connection.close()
                server.kill()

            with (base / "postgresql.auto.conf").open("a") as settings:
                settings.write(
                    f"restore_command = '{RESTORE_COMMAND.format(log=log)}'\nrecovery_target_timeline = 'current'\n"
                )
            (base / "recovery.signal").touch()
            command = [server._command[0], "-D", str(base), *server._command[3:]]
            restored = Server(command, server.port, directory / "restored.log", user).start()

            async def open_for_writing() -> bool:
                try:
                    connection = await asyncpg.connect(server.admin_dsn)
                except asyncpg.CannotConnectNowError:
                    return False
                try:
                    return not await connection.fetchval("select pg_is_in_recovery()")
                finally:
                    await connection.close()

            await eventually(open_for_writing, within_s=30, what="recovery has ended")
            connection = await asyncpg.connect(server.admin_dsn)
            assert await connection.fetchval("select name from accounts") == "of after the backup"
            assert await read_state(connection) == SchemaState((), ())
            await connection.close()
        finally:
            server.kill()
            if restored is not None:
                restored.kill()
