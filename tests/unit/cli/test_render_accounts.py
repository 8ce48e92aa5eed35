"""What the commands show of accounts, users, keys and their terms."""

import datetime as dt

from rich.console import Console, RenderableType

from trunkline.cli import render_accounts
from trunkline.policy.admin_accounts import AccountView, EndingSecret, KeyView, UserView
from trunkline.policy.meters import Budgets, FamilyLimits, Limits, ModelBudget

MOMENT = dt.datetime(2030, 1, 31, 12, 0, tzinfo=dt.UTC)
LIMITS = Limits(rpm=50, families=(FamilyLimits(models=("gpt-*", "o1"), tpd=7),))
BUDGETS = Budgets(
    daily_nano=5_000_000_000,
    models=(ModelBudget(("gpt-4*",), monthly_nano=1_500_000_000),),
    cheaper={"gpt-4o": "gpt-4o-mini"},
)
ACCOUNT = AccountView(1, "acme", None, "Asia/Shanghai", 12_345_000_001, LIMITS, BUDGETS, 1, 2, MOMENT)
USER = UserView(1, "acme", "kim", Limits(rpm=5), Budgets(), 2, MOMENT)
KEY = KeyView(
    id=1,
    account="acme",
    name="ci",
    prefix="sk-tl-abcd",
    groups=("default",),
    models=("*",),
    expires_at=None,
    allow_ips=("10.0.0.0/8",),
    blocked=True,
    created_at=MOMENT,
    user="kim",
    endpoints=("embeddings", "rerank"),
    limits=Limits(rpm=5),
    ending=(EndingSecret("sk-tl-wxyz", MOMENT),),
)


def text(*parts: RenderableType) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        for part in parts:
            console.print(part, markup=False, highlight=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def test_accounts_show_their_money_to_the_last_digit() -> None:
    assert text(render_accounts.accounts([ACCOUNT])) == (
        "account  tier   balance USD  daily USD  monthly USD  users  keys  time zone      since\n"
        "acme     -     12.345000001       5.00            -      1     2  Asia/Shanghai  2030-01-31 12:00"
    )


def test_keys_show_their_state_and_secrets_that_end() -> None:
    assert text(render_accounts.keys([KEY])).splitlines()[1] == (
        "acme/ci  sk-tl-abcd…, sk-tl-wxyz… until 2030-01-31 12:00  blocked  kim   default  *       embeddings, rerank"
        "  10.0.0.0/8  -"
    )
    assert text(*render_accounts.key(KEY)).endswith("\n\nlimits: rpm 5\nbudgets: none")


def test_an_account_is_shown_with_its_terms_users_and_keys() -> None:
    lines = text(*render_accounts.account(ACCOUNT, [USER], [KEY])).splitlines()
    assert lines[3:5] == [
        "limits: rpm 50; gpt-*, o1: tpd 7",
        "budgets: daily 5.00 USD; gpt-4*: monthly 1.50 USD; gpt-4o-mini for gpt-4o",
    ]
    assert lines[7] == "acme/kim     2  rpm 5   -        2030-01-31 12:00"
    assert lines[10].startswith("acme/ci")
    assert "acme/kim" not in text(*render_accounts.account(ACCOUNT, [], [KEY]))


def test_limits_have_a_line_for_each_family() -> None:
    assert text(render_accounts.limits(LIMITS)) == (
        "models      rpm  rpd  tpm  tpd  images_per_minute  concurrency\n"
        "all models   50    -    -    -                  -            -\n"
        "gpt-*, o1     -    -    -    7                  -            -"
    )
    assert text(render_accounts.limits(Limits())) == "No limits."


def test_budgets_show_what_takes_over() -> None:
    assert text(*render_accounts.budgets(BUDGETS)) == (
        "models      daily USD  monthly USD\n"
        "all models       5.00            -\n"
        "gpt-4*              -         1.50\n"
        "\n"
        "when it is used up  takes over\n"
        "gpt-4o              gpt-4o-mini"
    )
    assert text(*render_accounts.budgets(Budgets())) == "No budgets."
