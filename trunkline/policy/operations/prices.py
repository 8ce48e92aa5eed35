"""Operations on prices of models and costs of channels, their history, and comparisons."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_api import Comparison, NewPrices, PriceVersionView, Refreshed
from trunkline.policy.operations.operation import Operation, Parameter, get
from trunkline.policy.operations.parameters import DRY_RUN, MONTH

_PRICES: Final = "/models/{name}/prices"
_COSTS: Final = "/channels/{name}/costs"
_COSTS_OF_MODEL: Final = "/channels/{name}/costs/{model}"

SHOW: Final = get(
    "show_prices",
    _PRICES,
    Access.OPERATOR,
    "Show a model's prices: those in force, those to come, and those that were.",
    list[PriceVersionView],
)
SET: Final = Operation(
    id="set_prices",
    method="PUT",
    path=_PRICES,
    access=Access.OPERATOR,
    summary="Give a model new prices, all of them at once, now or from a moment on.",
    body=NewPrices,
    answer=list[PriceVersionView],
    shows="show_prices",
)
WITHDRAW: Final = Operation(
    id="withdraw_prices",
    method="DELETE",
    path=f"{_PRICES}/{{id:[0-9]+}}",
    access=Access.OPERATOR,
    summary="Take back prices that are not in force yet.",
    status=204,
    shows="show_prices",
)
LIST_COSTS: Final = get(
    "list_costs",
    _COSTS,
    Access.OPERATOR,
    "Show what a channel's provider asks for its models: in force, to come, and past.",
    list[PriceVersionView],
)
SHOW_COSTS: Final = get(
    "show_costs",
    _COSTS_OF_MODEL,
    Access.OPERATOR,
    "Show what a channel's provider asks for one model: in force, to come, and past.",
    list[PriceVersionView],
)
SET_COSTS: Final = Operation(
    id="set_costs",
    method="PUT",
    path=_COSTS_OF_MODEL,
    access=Access.OPERATOR,
    summary="Say what a channel's provider asks for a model, all of it at once, now or from a moment on.",
    body=NewPrices,
    answer=list[PriceVersionView],
    shows="show_costs",
)
WITHDRAW_COSTS: Final = Operation(
    id="withdraw_costs",
    method="DELETE",
    path=f"{_COSTS_OF_MODEL}/{{id:[0-9]+}}",
    access=Access.OPERATOR,
    summary="Take back costs that are not in force yet.",
    status=204,
    shows="show_costs",
)
REFRESH: Final = Operation(
    id="refresh_prices",
    method="POST",
    path="/prices/refresh",
    access=Access.OPERATOR,
    summary="Take the installed list's prices for all models that follow it; what was set by hand stays.",
    answer=Refreshed,
    query=(DRY_RUN,),
)
COMPARE: Final = get(
    "compare_prices",
    "/prices/compare",
    Access.OPERATOR,
    "Show what an account's usage of a month would have cost on other models.",
    Comparison,
    Parameter("account", "Whose usage.", required=True),
    MONTH,
    Parameter("models", "Models to compare with, separated by commas."),
)

OPERATIONS: Final = (SHOW, SET, WITHDRAW, LIST_COSTS, SHOW_COSTS, SET_COSTS, WITHDRAW_COSTS, REFRESH, COMPARE)
