"""Every migration can run while the version before it serves: none stops it or takes away what it uses."""

import pytest

from tests.support.migration_rules import created_tables, findings
from trunkline.store.migrate import APART, Migration, read_migrations

FIRST_RELEASE = "0017"
"""Up to here nothing was released, so no other version ran beside these files: a database is made by all of them."""

REVIEWED: dict[tuple[str, str], str] = {
    ("0018_exact_usage.sql", "alter type transfer_kind add value"): (
        "the version before asks for kinds by name, and shows all others only where they have a reference"
    ),
    ("0018_exact_usage.sql", "alter table transfers drop constraint transfers_check1"): (
        "the one that comes in its place asks the same of what the version before writes"
    ),
}
"""File and the start of a statement that the rules refuse, and why it does no harm all the same."""


def test_migrations_run_beside_the_version_before() -> None:
    existing: set[str] = set()
    refused, used = [], set()
    for migration in read_migrations():
        if migration.name[:4] > FIRST_RELEASE:
            for finding in findings(migration, existing):
                key = next(
                    (key for key in REVIEWED if key[0] == migration.name and finding.statement.startswith(key[1])), None
                )
                used.add(key)
                if key is None:
                    refused.append(f"{migration.name}: {finding.statement[:100]}: {finding.why}")
        existing |= created_tables(migration)
    assert not refused, "\n".join(refused)
    assert used - {None} == set(REVIEWED), "a review is of a statement that is no more"


def test_the_rules_know_the_tables_that_are_there() -> None:
    existing = {table for migration in read_migrations() for table in created_tables(migration)}
    assert {"transfers", "balances", "usage", "keys", "channels", "allowances", "usage_hours"} <= existing


REFUSED = {
    "alter table usage drop column asked": "the version before still uses it",
    "drop table budgets": "the version before still uses it",
    "alter table usage rename column asked to wanted": "the version before knows the old name",
    "alter table usage rename to used": "the version before knows the old name",
    "lock table usage in exclusive mode": "everybody waits for it",
    "alter type transfer_kind add value 'gift'": "the version before may read a word that it does not know",
    "alter table usage alter column status type bigint": "rewrites the table under a lock",
    "alter table usage alter status set not null": (
        "reads the table under a lock, and the version before may write nulls"
    ),
    "alter table usage alter column asked drop default": "the version before may rely on it",
    "alter table usage add column kind int not null": "needs a default",
    "alter table usage add column a int not null default 0, add column kind int not null": "needs a default",
    "alter table usage add column kind int not null, add column a int not null default 0": "needs a default",
    "alter table usage add column kind int check (kind > 0)": "reads the table under a lock",
    "alter table usage add column kind uuid default gen_random_uuid()": "rewrites the table under a lock",
    "alter table usage add constraint sane check (status > 0)": (
        "reads the table under a lock: add it `not valid`, and validate it in a file of its own"
    ),
    "create index usage_model on usage (model)": "keeps everybody from writing while it is built",
    "create unique index usage_model on usage using btree (model)": "keeps everybody from writing while it is built",
    "create index concurrently usage_model on usage (model)": "cannot be run in a transaction",
    "create trigger kept before update on usage execute function f()": "changes what the version before does",
    "update usage set asked = 'x'": "holds locks on all rows that it changes",
    "delete from usage": "holds locks on all rows that it changes",
}


@pytest.mark.parametrize("statement", REFUSED)
def test_what_stops_or_breaks_others_is_found(statement: str) -> None:
    found = list(findings(Migration("0099_x.sql", f"-- A comment; with more.\n{statement};\n"), {"usage"}))
    assert [finding.why for finding in found] == [REFUSED[statement]]


@pytest.mark.parametrize(
    "statement",
    [
        "alter table usage add column kind text not null default 'a; drop table usage'",
        "alter table usage add column kind text, add column other int not null default 3",
        "alter table usage add constraint sane check (status > 0) not valid",
        "alter table usage validate constraint sane",
        "create table news (id bigint primary key, text text not null); create index news_text on news (text)",
        "create function f() returns trigger language plpgsql as $$ begin update usage set asked = ''; end $$",
        "comment on column usage.asked is 'rename'",
    ],
)
def test_what_does_no_harm_is_let_through(statement: str) -> None:
    assert not list(findings(Migration("0099_x.sql", statement), {"usage"}))


def test_statements_apart_may_be_run_again() -> None:
    again = (
        f"{APART}\ndrop index concurrently if exists a;\ncreate index concurrently if not exists a on usage (model);\n"
    )
    assert not list(findings(Migration("0099_x.sql", again), {"usage"}))
    once = Migration("0099_x.sql", f"{APART}\ncreate index concurrently a on usage (model);\n")
    assert [finding.why for finding in findings(once, {"usage"})] == [
        "may not be run again, as a file without a transaction has to"
    ]
