"""How often somebody may try in vain: by what is guessed at, and by the network that it comes from.

Failures are counted in windows of growing length, whose bounds grow far slower than they do: the more have failed, the
longer the wait, up to an hour. An unknown name is counted as a known one is.
"""

import ipaddress
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from trunkline.policy.addresses import parse_address
from trunkline.policy.logins.tokens import Domain, keyed_hash

IPV4_PREFIX: Final = 24
IPV6_PREFIX: Final = 64
"""What one customer of a provider has at hand: addresses of it are not told apart."""

MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400


class Window(NamedTuple):
    """A bound.

    Attributes:
        length_s: of the window; windows begin at multiples of it.
        failures_max: within one.
    """

    length_s: int
    failures_max: int


class Guess(StrEnum):
    """What is counted."""

    PASSWORD = "password"  # noqa: S105 - the word, not one
    SECOND_FACTOR = "second_factor"
    LINK = "link"
    RESET = "reset"
    REGISTRATION = "registration"


OF_NAME: Final = (Window(MINUTE_S, 5), Window(10 * MINUTE_S, 10), Window(HOUR_S, 20))
"""Of one login: 480 a day find no password of twelve characters that is not among the commonest. Its person waits an
hour at most when somebody else has used up the tries, and a link sets a password at once."""

OF_SECOND_FACTOR: Final = (Window(MINUTE_S, 5), Window(HOUR_S, 10), Window(DAY_S, 20))
"""Three codes of a million are good at a time: at twenty a day somebody who has the password needs 45 years."""

OF_NETWORK: Final = (Window(MINUTE_S, 30), Window(10 * MINUTE_S, 90), Window(HOUR_S, 300))
"""A lecture hall behind one address mistypes a password now and then; who tries a list of names at one password each
gets no further than 7200 a day."""

OF_RESET: Final = (Window(HOUR_S, 3), Window(DAY_S, 6))
"""Mails to one address that strangers may cause."""

OF_RESET_NETWORK: Final = (Window(HOUR_S, 30),)


class Bound(NamedTuple):
    """One counter.

    Attributes:
        subject: keyed hash of who or what is counted.
        window: see there.
    """

    subject: bytes
    window: Window


def network_of(address: str) -> str:
    """Return the network of a client's address; what is no address is one of its own."""
    parsed = parse_address(address)
    if parsed is None:
        return address
    prefix = IPV4_PREFIX if parsed.version == 4 else IPV6_PREFIX
    return str(ipaddress.ip_network(f"{parsed}/{prefix}", strict=False))


def bounds(guess: Guess, what: str, address: str, pepper: bytes, *, per_day_max: int = 0) -> list[Bound]:
    """Return the counters of a try.

    Args:
        guess: what is tried.
        what: name of the login as it was typed, or its id; empty if the network alone is counted.
        address: of the client.
        pepper: of the console.
        per_day_max: of registrations from a network.
    """
    network = network_of(address)
    own: Sequence[Window] = ()
    shared: Sequence[Window] = OF_NETWORK
    match guess:
        case Guess.PASSWORD:
            own = OF_NAME
        case Guess.SECOND_FACTOR:
            own = OF_SECOND_FACTOR
        case Guess.RESET:
            own, shared = OF_RESET, OF_RESET_NETWORK
        case Guess.REGISTRATION:
            shared = (Window(DAY_S, per_day_max),)
    # Guessing at one thing from a network takes the tries of the others from it, but for what is no guessing.
    common = guess.value if guess in {Guess.RESET, Guess.REGISTRATION} else "guess"
    return [
        *_counters(f"{guess.value}:what:{_folded(what)}", own, pepper),
        *_counters(f"{common}:network:{network}", shared, pepper),
    ]


def _folded(what: str) -> str:
    """Return the same text for all that the database's ``lower`` makes one of, and for some more."""
    # A capital I with a dot is an i there, and an i with another dot above it here.
    return what.casefold().replace("i\u0307", "i")


def _counters(subject: str, windows: Sequence[Window], pepper: bytes) -> list[Bound]:
    return [Bound(keyed_hash(Domain.GUESS, f"{window.length_s}:{subject}", pepper), window) for window in windows]
