"""The configuration of a development stack: read and checked before anything starts, applied once the console runs."""

from collections import UserDict
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec
import yaml

from trunkline.dev.http_call import CallError, call
from trunkline.policy import admin_api
from trunkline.policy.configuration import (
    AccountEntry,
    ChannelEntry,
    Configuration,
    ConfigurationError,
    KeyEntry,
    ModelEntry,
    Names,
)
from trunkline.policy.configuration_file import load

DEMO = "demo"
"""Name of the built-in channel, model and account."""

DEMO_CREDIT_USD = Decimal(100)
DEMO_PRICE = {"input": Decimal("0.10"), "output": Decimal("0.40")}
"""USD per million tokens, so that the demo shows entries in the ledger."""

MODEL = "smollm2"
"""Name of the real model's channel and model."""

APPLY_TIMEOUT_S = 30.0


class Wanted(NamedTuple):
    """What will be applied.

    Attributes:
        configuration: secrets resolved.
        variables: names of the environment variables that hold its secrets; services are not given them.
    """

    configuration: Configuration
    variables: frozenset[str]

    @property
    def api_key(self) -> str:
        """The first key of the first account that has one."""
        return next(key.secret for account in self.configuration.accounts for key in account.keys)

    @property
    def model(self) -> str:
        """A model to show how to call; empty if there is none."""
        named = [model.name for model in self.configuration.models]
        return next(iter([*named, *(name for channel in self.configuration.channels for name in channel.models)]), "")


class ApplyError(Exception):
    """The console did not take the configuration; says why."""


class _Recorder(UserDict[str, str]):
    """An environment that remembers what was looked up in it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(environment)
        self.looked_up: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.looked_up.add(name)
        return super().__getitem__(name)


def from_file(path: Path, environment: Mapping[str, str], now_ms: int) -> Wanted:
    """Read a configuration file.

    Raises:
        ConfigurationError: it cannot be read, or has faults; the message has them all.
    """
    try:
        parsed = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigurationError([f"it cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(["it is not UTF-8 text"]) from error
    except yaml.MarkedYAMLError as error:
        place = "" if error.problem_mark is None else f" at line {error.problem_mark.line + 1}"
        raise ConfigurationError([f"it is not YAML: {error.problem}{place}"]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: a number or date that is none.
        raise ConfigurationError(["it is not YAML"]) from error
    recorder = _Recorder(environment)
    return Wanted(load(parsed, recorder, Names(), now_ms), frozenset(recorder.looked_up))


def demo(upstream_url: str) -> Wanted:
    """Return the built-in configuration: one channel to the demo upstream. `with_key` adds the account."""
    channel = ChannelEntry(
        name=DEMO, dialect="openai", base_url=upstream_url, credentials=("sk-demo",), models={DEMO: DEMO}
    )
    return Wanted(Configuration(channels=(channel,), models=(ModelEntry(name=DEMO, price=DEMO_PRICE),)), frozenset())


def with_model(wanted: Wanted, model_url: str) -> Wanted:
    """Add the real model, at the demo's price and first in the list."""
    there = wanted.configuration
    channel = ChannelEntry(
        name=MODEL, dialect="openai", base_url=model_url, credentials=("sk-local",), models={MODEL: MODEL}
    )
    return wanted._replace(
        configuration=msgspec.structs.replace(
            there,
            channels=(*there.channels, channel),
            models=(ModelEntry(name=MODEL, price=DEMO_PRICE), *there.models),
        )
    )


def with_key(wanted: Wanted, api_key: str) -> Wanted:
    """Add the demo account with ``api_key`` if the configuration has no key of its own."""
    there = wanted.configuration
    if any(account.keys for account in there.accounts):
        return wanted
    account = AccountEntry(name=DEMO, credit=DEMO_CREDIT_USD, keys=(KeyEntry(name=DEMO, secret=api_key),))
    return wanted._replace(configuration=msgspec.structs.replace(there, accounts=(*there.accounts, account)))


async def apply(console_url: str, admin_key: str, configuration: Configuration) -> None:
    """Apply a configuration through the admin API.

    Raises:
        ApplyError: see there.
    """
    try:
        answer = await call(
            "POST",
            f"{console_url}{admin_api.PREFIX}/apply",
            body=msgspec.json.encode(configuration),
            bearer=admin_key,
            timeout_s=APPLY_TIMEOUT_S,
        )
    except CallError as error:
        raise ApplyError(str(error)) from error
    if answer.status == 200:
        return
    try:
        error_detail = msgspec.json.decode(answer.body, type=admin_api.ErrorBody).error
    except msgspec.DecodeError as error:
        raise ApplyError(f"the console answered with status {answer.status}") from error
    raise ApplyError("\n".join([error_detail.message, *error_detail.faults]))
