"""What in a migration would stop or break the version that runs beside it; see docs/operating/upgrades.md.

A reading of SQL by its first words: enough for files that we write ourselves, where what is not understood is better
found too often than too seldom.
"""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from trunkline.store.migrate import Migration

_COMMENT = re.compile(r"--[^\n]*")
_DOLLAR = re.compile(r"\$(\w*)\$.*?\$\1\$", re.DOTALL)
_TEXT = re.compile(r"'(?:[^']|'')*'")
_CREATED = re.compile(r"create (?:unlogged )?table (?:if not exists )?(\w+)")


class Finding(NamedTuple):
    """A statement to look at.

    Attributes:
        statement: in lower case, on one line, without texts and bodies.
        why: what it does to others.
    """

    statement: str
    why: str


def statements(text: str) -> list[str]:
    """Return the statements of a file in lower case, each on one line, without comments, texts and function bodies."""
    bare = _TEXT.sub("''", _DOLLAR.sub("$$", _COMMENT.sub("", text)))
    return [" ".join(part.lower().split()) for part in bare.split(";") if part.strip()]


def created_tables(migration: Migration) -> set[str]:
    """Return the tables that a file makes."""
    return {match[1] for statement in statements(migration.text) for match in _CREATED.finditer(statement)}


# Statements that are refused whatever they are about.
_ALWAYS: tuple[tuple[str, str], ...] = (
    (r"drop (table|column|view|function|type|trigger|schema)\b", "the version before still uses it"),
    (r"\brename\b", "the version before knows the old name"),
    (r"^(lock|truncate|cluster|vacuum|reindex)\b", "everybody waits for it"),
    (r"^alter type\b", "the version before may read a word that it does not know"),
)

# Statements about a table that is there already, and that others use meanwhile.
_OF_A_TABLE: tuple[tuple[str, str], ...] = (
    (r"^alter table .*\balter (column )?\w+ (set data )?type\b", "rewrites the table under a lock"),
    (r"^alter table .*\bset not null\b", "reads the table under a lock, and the version before may write nulls"),
    (r"^alter table .*\bdrop (constraint|default|expression)\b", "the version before may rely on it"),
    (r"^alter table .*\badd column (?:(?!, add ).)*\b(check|references)\b", "reads the table under a lock"),
    (r"^alter table .*\badd column (?:(?!, add ).)*\b(unique|primary key)\b", "builds an index under a lock"),
    (
        r"^alter table .*\badd column (?:(?!, add )(?!default).)*\bnot null\b(?!(?:(?!, add ).)*\bdefault\b)",
        "needs a default",
    ),
    (
        (
            r"^alter table .*\badd column (?:(?!, add ).)*"
            r"(generated always|gen_random_uuid|random\(|nextval|clock_timestamp)"
        ),
        "rewrites the table under a lock",
    ),
    (
        r"^alter table .*\badd (constraint \w+ )?(foreign key|check|primary key|unique)\b(?!.*\bnot valid\b)",
        "reads the table under a lock: add it `not valid`, and validate it in a file of its own",
    ),
    (r"^create (unique )?index (?!concurrently\b)", "keeps everybody from writing while it is built"),
    (r"^create (or replace )?(constraint )?trigger\b", "changes what the version before does"),
    (r"^(update|delete from)\b", "holds locks on all rows that it changes"),
)

_TABLE = re.compile(
    r"^(?:alter table (?:if exists )?(?:only )?|update (?:only )?|delete from (?:only )?)(\w+)|\bon (?:only )?(\w+)"
)
_AGAIN = re.compile(r"^(create (unique )?index concurrently if not exists|drop index concurrently if exists)\b")


def findings(migration: Migration, existing: Collection[str]) -> Iterator[Finding]:
    """Return the statements of a file that have to be looked at.

    Args:
        migration: the file.
        existing: tables that are there before it.
    """
    for statement in statements(migration.text):
        if migration.apart:
            if not _AGAIN.match(statement):
                yield Finding(statement, "may not be run again, as a file without a transaction has to")
            continue
        if "concurrently" in statement:
            yield Finding(statement, "cannot be run in a transaction")
        rules = list(_ALWAYS)
        match = _TABLE.search(statement)
        if match is not None and (match[1] or match[2]) in existing:
            rules += _OF_A_TABLE
        for pattern, why in rules:
            if re.search(pattern, statement):
                yield Finding(statement, why)
