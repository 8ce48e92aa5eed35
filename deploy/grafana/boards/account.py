"""One account: balance, spending, use by model and key, errors, speed.

Read from Postgres, since metrics name no accounts: sums by the hour and balances, as the role that
deploy/grafana/reader.sql makes.
"""

# ruff: noqa: S608 - queries are made of constants; the account's name is quoted by Grafana

from deploy.grafana.builder import Board, Panel, Row, Source, Stack, Stat, Table, Thresholds, Unit, Variable

CHOSEN = "join accounts as a on a.id = account_id where a.name = ${account:sqlstring}"
SPAN = f"usage_hours as u {CHOSEN} and $__timeFilter(hour)"
NANO = 1_000_000_000


def sql(text: str) -> str:
    """Return a query on one line."""
    return " ".join(text.split())


MONEY = Row(
    "Money",
    (
        Stat(
            title="Balance",
            description="What the account may still spend; below zero it was overdrawn.",
            unit=Unit.USD,
            queries={
                "balance": sql(f"""
                select coalesce(sum(b.balance_nano), 0)::float / {NANO} as balance
                from accounts as a left join balances as b on b.kind = 'wallet' and b.owner_id = a.id
                where a.name = ${{account:sqlstring}}""")
            },
            thresholds=Thresholds(5, 0),
            source=Source.POSTGRES,
        ),
        Stat(
            title="Spent this month",
            description="What the account was charged in this calendar month, in UTC.",
            unit=Unit.USD,
            queries={
                "spent": sql(f"""
                select coalesce(sum(spent_nano), 0)::float / {NANO} as spent from monthly_spending {CHOSEN}
                and month = date_trunc('month', now() at time zone 'UTC')""")
            },
            source=Source.POSTGRES,
        ),
        Stat(
            title="Spent",
            description="What the account was charged in the span that is shown.",
            unit=Unit.USD,
            queries={"spent": f"select coalesce(sum(charge_nano), 0)::float / {NANO} as spent from {SPAN}"},
            source=Source.POSTGRES,
        ),
        Stat(
            title="Answers",
            description="Attempts that the account was to pay for.",
            unit=Unit.COUNT,
            queries={"answers": f"select coalesce(sum(answers), 0)::float as answers from {SPAN}"},
            source=Source.POSTGRES,
        ),
        Stat(
            title="Failed attempts",
            description="Part of the attempts without a complete answer; many were followed by another that gave one.",
            unit=Unit.SHARE,
            queries={
                "failed": sql(f"""
                select coalesce(sum(attempts) filter (where outcome <> '')
                / nullif(sum(attempts), 0), 0)::float as failed from {SPAN}""")
            },
            thresholds=Thresholds(0.02, 0.1),
            source=Source.POSTGRES,
        ),
        Stat(
            title="From a cache",
            description="Part of the input that providers read from their caches, which costs less.",
            unit=Unit.SHARE,
            queries={
                "cached": sql(f"""
                select coalesce(sum(cache_read) / nullif(sum(input + cache_read + cache_write), 0), 0)::float as cached
                from {SPAN}""")
            },
            source=Source.POSTGRES,
        ),
    ),
)

COURSE = Row(
    "By the hour",
    (
        Stack(
            title="Spending by model",
            description="What was charged, in each hour.",
            unit=Unit.USD,
            queries={
                "model": sql(f"""
                select hour as time, model as metric, sum(charge_nano)::float / {NANO} as value
                from {SPAN} group by hour, model order by hour, model""")
            },
            source=Source.POSTGRES,
        ),
        Stack(
            title="Tokens",
            description="Input, what of it came from caches or went there, output and reasoning, in each hour.",
            unit=Unit.COUNT,
            queries={
                "kind": sql(f"""
                select hour as time, sum(input)::float as input, sum(cache_read)::float as "from caches",
                sum(cache_write)::float as "to caches", sum(output)::float as output, sum(reasoning)::float as reasoning
                from {SPAN} group by hour order by hour""")
            },
            source=Source.POSTGRES,
        ),
        Stack(
            title="Attempts by outcome",
            description="Upstream calls for the account, in each hour; the first word says whose fault an error is.",
            unit=Unit.COUNT,
            queries={
                "outcome": sql(f"""
                select hour as time, case outcome when '' then 'ok' else outcome end as metric,
                sum(attempts)::float as value from {SPAN} group by hour, outcome order by hour, outcome""")
            },
            source=Source.POSTGRES,
        ),
        Panel(
            title="First token",
            description="From the start of an attempt to its first output, on average of each hour, by model.",
            unit=Unit.SECONDS,
            queries={
                "model": sql(f"""
                select hour as time, model as metric, sum(first_token_ms)::float / 1000 / sum(first_tokens) as value
                from {SPAN} and first_tokens > 0 group by hour, model order by hour, model""")
            },
            thresholds=Thresholds(5, 10),
            source=Source.POSTGRES,
        ),
    ),
)

PARTS = Row(
    "Where it goes",
    (
        Table(
            title="Models",
            description="What was used of each model in the span that is shown.",
            unit=Unit.COUNT,
            queries={
                "model": sql(f"""
                select model, sum(answers)::float as answers,
                sum(input + cache_read + cache_write)::float as "tokens in",
                sum(output + reasoning)::float as "tokens out", round(sum(charge_nano) / {NANO}.0, 6)::float as usd
                from {SPAN} group by model order by usd desc limit 100""")
            },
            source=Source.POSTGRES,
        ),
        Table(
            title="Keys",
            description="What each key used in the span that is shown; keys that are gone have their numbers.",
            unit=Unit.COUNT,
            queries={
                "key": sql(f"""
                select coalesce(k.name, 'key ' || u.key_id) as key, sum(u.answers)::float as answers,
                sum(u.attempts) filter (where u.outcome <> '')::float as failed,
                round(sum(u.charge_nano) / {NANO}.0, 6)::float as usd
                from usage_hours as u left join keys as k on k.id = u.key_id
                join accounts as a on a.id = u.account_id where a.name = ${{account:sqlstring}} and $__timeFilter(hour)
                group by 1 order by usd desc limit 100""")
            },
            source=Source.POSTGRES,
        ),
    ),
)

BOARD = Board(
    "account",
    "Trunkline: one account",
    "Balance, spending, use by model and key, errors and speed of one account.",
    (MONEY, COURSE, PARTS),
    (Variable("account", "Account", "select name from accounts order by name", source=Source.POSTGRES, several=False),),
    span="7d",
)
