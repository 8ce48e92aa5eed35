"""What must hold of a configuration's entries beyond their form. Called by `policy.configuration_file` and the API."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from trunkline.policy import configuration_values as values
from trunkline.policy.alert_checks import check_alerts
from trunkline.policy.configuration import (
    AccountEntry,
    ChannelEntry,
    CredentialEntry,
    DiscountEntry,
    GroupEntry,
    KeyEntry,
    ModelEntry,
    Names,
    PriceEntry,
    TierEntry,
    TrialEntry,
    UserEntry,
)
from trunkline.policy.discounts import STEPS_MAX
from trunkline.policy.entities import Key
from trunkline.policy.keys import well_formed
from trunkline.policy.routing_checks import WEIGHT_MAX, check_channel_routing, check_credential, check_model_routing
from trunkline.policy.strict import FaultList, joined
from trunkline.policy.terms_checks import LIMIT_MAX, check_budgets, check_limits
from trunkline.protocol.names import ENDPOINT_NAMES, UPSTREAM_ANTHROPIC, UPSTREAM_AZURE, UPSTREAM_OPENAI, UPSTREAMS
from trunkline.protocol.vendor import AssistantPrefix

V = TypeVar("V")

ENVIRONMENT_PREFIX = "env:"
"""A secret that begins so is in a variable; one that still does when it is checked was missing, which is said
elsewhere."""

TRIAL_DAYS_MAX = 3650
"""Ten years. A longer trial is a gift."""

PRIORITY_MAX = 1_000_000

KEY_MODELS_MAX = 500
"""Models and patterns that a key names. At their longest they fill half of the message that brings it to the edges."""

KEY_STARS_MAX = 128
"""``*`` in all patterns of a key together: an edge looks for what stands between them in the name of each model that it
lists, 20 ms for a thousand models."""

KEY_NETWORKS_MAX = 500
"""Networks that a key is used from."""

_NO_PREFIX = frozenset({AssistantPrefix.NONE})
_PREFIXES = {
    UPSTREAM_OPENAI: frozenset(AssistantPrefix),
    UPSTREAM_ANTHROPIC: _NO_PREFIX | {AssistantPrefix.LAST_MESSAGE},
}
"""What providers take as the beginning of an answer, by dialect; others take none."""


class Checker:
    """Checks entries and notes their faults.

    Args:
        names: what they may refer to.
        faults: receives the faults.
    """

    def __init__(self, names: Names, faults: FaultList) -> None:
        self._names = names
        self._faults = faults

    def channel(self, entry: ChannelEntry, place: str) -> None:
        """Check one channel."""
        self._try(values.check_name, entry.name, f"{place}.name")
        if entry.dialect not in UPSTREAMS:
            self._faults.add(f"{place}.dialect", f"must be one of {', '.join(UPSTREAMS)}")
        self._try(values.normal_base_url, entry.base_url, f"{place}.base_url")
        self._credentials(entry.credentials or (), f"{place}.credentials")
        if not entry.models:
            self._faults.add(f"{place}.models", "must map at least one public model name to the upstream's")
        for public, upstream in entry.models.items():
            self._try(values.check_model_name, public, f"{place}.models.{public}")
            self._try(values.check_model_name, upstream, f"{place}.models.{public}")
        self._groups(entry.groups, f"{place}.groups")
        self._between(entry.priority, -PRIORITY_MAX, PRIORITY_MAX, f"{place}.priority")
        self._between(entry.weight, 0, WEIGHT_MAX, f"{place}.weight")
        check_channel_routing(entry, place, self._faults)
        self._options(entry, f"{place}.options")
        for model, price in entry.costs.items():
            if model not in entry.models:
                self._faults.add(f"{place}.costs.{model}", "is not among the channel's models")
            self.price(price, f"{place}.costs.{model}")

    def _options(self, entry: ChannelEntry, place: str) -> None:
        options = entry.options
        self._between(options.max_output, 0, LIMIT_MAX, f"{place}.max_output")
        for name in ("reasoning_field", "required_word"):
            if not getattr(options, name):
                self._faults.add(f"{place}.{name}", "must not be empty; leave it out for the default")
        for name, dialect in (("tools_by_responses", UPSTREAM_OPENAI), ("api_version", UPSTREAM_AZURE)):
            if getattr(options, name) and entry.dialect != dialect:
                self._faults.add(f"{place}.{name}", f"is for channels of the dialect {dialect}")
        if options.prefix not in _PREFIXES.get(entry.dialect, _NO_PREFIX):
            self._faults.add(f"{place}.prefix", "is for channels of the dialect openai, or last_message for anthropic")

    def model(self, entry: ModelEntry, place: str) -> None:
        """Check one model, but for the presence of its price."""
        self._try(values.check_model_name, entry.name, f"{place}.name")
        self._try(values.check_lane, entry.lane, f"{place}.lane")
        self._try(values.check_name, entry.owned_by, f"{place}.owned_by")
        if entry.price is not None and entry.free:
            self._faults.add(f"{place}.price", "must be left out of a free model")
        if entry.override and (entry.price is not None or entry.free):
            self._faults.add(f"{place}.override", "is for models that have the list price; put it into price")
        if entry.price is not None:
            self.price(entry.price, f"{place}.price")
        self.price(entry.override, f"{place}.override")
        check_model_routing(entry, self._names.models, place, self._faults)

    def group(self, entry: GroupEntry, place: str) -> None:
        """Check one group."""
        self._try(values.check_name, entry.name, f"{place}.name")
        self._try(values.multiplier_ppm, entry.multiplier, f"{place}.multiplier")
        check_limits(entry.limits, f"{place}.limits", self._faults)

    def discount(self, entry: DiscountEntry, place: str) -> None:
        """Check one step of a volume discount."""
        self._try(values.nano_amount, entry.monthly, f"{place}.monthly")
        self._try(values.discount_ppm, entry.percent, f"{place}.percent")
        if entry.tier is not None and entry.tier not in self._names.tiers:
            self._faults.add(f"{place}.tier", f"unknown tier {entry.tier!r}; declare it under tiers")

    def discounts(self, entries: Sequence[tuple[DiscountEntry, str]]) -> None:
        """Check what must hold of all steps together."""
        if len(entries) > STEPS_MAX:
            self._faults.add("discounts", f"must have at most {STEPS_MAX} steps")
        thresholds = ((f"{entry.tier}:{entry.monthly.normalize()}", f"{place}.monthly") for entry, place in entries)
        self.unique(thresholds, "amount, for the same tier,")

    def tier(self, entry: TierEntry, place: str) -> None:
        """Check one tier."""
        self._try(values.check_name, entry.name, f"{place}.name")
        self._between(entry.priority, -PRIORITY_MAX, PRIORITY_MAX, f"{place}.priority")
        check_limits(entry, place, self._faults)

    def account(self, entry: AccountEntry, place: str) -> None:
        """Check one account with its users and keys."""
        self._try(values.check_name, entry.name, f"{place}.name")
        self.account_terms(entry.tier, entry.time_zone, place)
        self._groups(entry.groups, f"{place}.groups")
        self._try(values.nano_amount, entry.credit, f"{place}.credit")
        check_limits(entry.limits, f"{place}.limits", self._faults)
        check_budgets(entry.budgets, self._names.models, f"{place}.budgets", self._faults)
        check_alerts(entry.alerts, f"{place}.alerts", self._faults)
        if entry.trial and not self._names.trial:
            self._faults.add(f"{place}.trial", "there is no free trial; declare one under trial")
        self.unique(((user.name, f"{place}.users[{number}].name") for number, user in enumerate(entry.users)), "name")
        self.unique(((key.name, f"{place}.keys[{number}].name") for number, key in enumerate(entry.keys)), "name")
        for number, user in enumerate(entry.users):
            self.user(user, f"{place}.users[{number}]")
        users = {user.name for user in entry.users}
        for number, key in enumerate(entry.keys):
            self.key(key, f"{place}.keys[{number}]")
            if key.user is not None and key.user not in users:
                self.owner(entry.name, key.user, f"{place}.keys[{number}]")

    def trial(self, entry: TrialEntry, place: str) -> None:
        """Check the free trial."""
        self._try(values.nano_amount, entry.amount, f"{place}.amount")
        self._between(entry.days, 1, TRIAL_DAYS_MAX, f"{place}.days")

    def account_terms(self, tier: str | None, time_zone: str, place: str) -> None:
        """Check what can be changed of an account beside its limits and budgets; ``place`` may be empty."""
        if tier is not None and tier not in self._names.tiers:
            self._faults.add(joined(place, "tier"), f"unknown tier {tier!r}; declare it under tiers")
        self._try(values.check_time_zone, time_zone, joined(place, "time_zone"))

    def user(self, entry: UserEntry, place: str) -> None:
        """Check one user; ``place`` may be empty."""
        self._try(values.check_name, entry.name, joined(place, "name"))
        check_limits(entry.limits, joined(place, "limits"), self._faults)
        check_budgets(entry.budgets, self._names.models, joined(place, "budgets"), self._faults)

    def owner(self, account: str, user: str, place: str) -> None:
        """Check that an account has the user whose key is at ``place``, which may be empty."""
        if f"{account}/{user}" not in self._names.users:
            self._faults.add(joined(place, "user"), f"the account has no user {user!r}; declare it under its users")

    def key(self, entry: KeyEntry, place: str) -> None:
        """Check one key, but for its user; ``place`` may be empty."""
        self.rights(entry, place)
        if not entry.secret.startswith(ENVIRONMENT_PREFIX) and not well_formed(entry.secret):
            self._faults.add(
                joined(place, "secret"),
                "is not a well-formed key: sk-tl-, 32 letters and digits, and their checksum; "
                "`trunkline keys create` makes one",
            )
        check_limits(entry.limits, joined(place, "limits"), self._faults)
        check_budgets(entry.budgets, self._names.models, joined(place, "budgets"), self._faults)

    def rights(self, key: KeyEntry | Key, place: str) -> None:
        """Check a key's name and what it may do; ``place`` may be empty."""
        self._try(values.check_name, key.name, joined(place, "name"))
        self._groups(key.groups, joined(place, "groups"))
        if not key.models:
            self._faults.add(joined(place, "models"), 'must name at least one model or pattern; "*" allows all')
        if len(key.models) > KEY_MODELS_MAX:
            self._faults.add(joined(place, "models"), f"must name at most {KEY_MODELS_MAX} models or patterns")
        if sum(pattern.count("*") for pattern in key.models) > KEY_STARS_MAX:
            self._faults.add(joined(place, "models"), f"must have at most {KEY_STARS_MAX} times * in all patterns")
        if len(key.allow_ips) > KEY_NETWORKS_MAX:
            self._faults.add(joined(place, "allow_ips"), f"must name at most {KEY_NETWORKS_MAX} networks")
        for number, pattern in enumerate(key.models):
            self._try(values.check_model_name, pattern, joined(place, f"models[{number}]"))
        for number, network in enumerate(key.allow_ips):
            self._try(values.normal_network, network, joined(place, f"allow_ips[{number}]"))
        for number, endpoint in enumerate(key.endpoints):
            if endpoint not in ENDPOINT_NAMES:
                known = ", ".join(ENDPOINT_NAMES)
                self._faults.add(joined(place, f"endpoints[{number}]"), f"is no endpoint; known are: {known}")
        self.unique(
            ((name, joined(place, f"endpoints[{number}]")) for number, name in enumerate(key.endpoints)), "endpoint"
        )

    def price(self, price: PriceEntry, place: str) -> None:
        """Check prices in USD per million units."""
        for kind, usd in price.items():
            self._try(values.unit_kind, kind, f"{place}.{kind}")
            self._try(values.nano_amount, usd, f"{place}.{kind}")
        if {"cached_input", "cache_read"} <= price.keys():
            self._faults.add(place, "has both cached_input and cache_read, which are the same")
        if len(price) > values.PRICES_MAX:
            self._faults.add(place, f"must have at most {values.PRICES_MAX} prices")

    def unique(self, named: Iterable[tuple[str, str]], what: str) -> None:
        """Note each ``(value, place)`` whose value came before; the value itself is not shown."""
        first: dict[str, str] = {}
        for value, place in named:
            if value in first:
                self._faults.add(place, f"the same {what} as {first[value]}")
            first.setdefault(value, place)

    def _credentials(self, credentials: Sequence[str | CredentialEntry], place: str) -> None:
        secrets = []
        for number, credential in enumerate(credentials):
            here = f"{place}[{number}]"
            if isinstance(credential, str):
                secrets.append((credential, here))
            else:
                secrets.append((credential.secret, f"{here}.secret"))
                check_credential(credential, here, self._faults)
        for secret, here in secrets:
            if not secret.startswith(ENVIRONMENT_PREFIX):
                self._try(values.check_upstream_secret, secret, here)
        self.unique(secrets, "secret")

    def _groups(self, groups: tuple[str, ...], place: str) -> None:
        if not groups:
            self._faults.add(place, "must name at least one group")
        for number, group in enumerate(groups):
            if group not in self._names.groups:
                self._faults.add(f"{place}[{number}]", f"unknown group {group!r}; declare it under groups")
        self.unique(((group, f"{place}[{number}]") for number, group in enumerate(groups)), "group")

    def _between(self, value: int, low: int, high: int, place: str) -> None:
        if not low <= value <= high:
            self._faults.add(place, f"must be between {low} and {high}")

    def _try(self, check: Callable[[V], object], value: V, place: str) -> None:
        try:
            check(value)
        except ValueError as error:
            self._faults.add(place, str(error))
