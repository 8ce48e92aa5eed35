"""What the demo upstream saw and reported: the other side of the books that tests compare the ledger with."""

from typing import NamedTuple

import msgspec

NAMES_MAX = 1000
"""Distinct models or credentials counted by name; whatever comes later is counted together under `OTHER`."""

ABORTS_MAX = 1000
"""The latest aborted requests that are kept."""

ANSWERS_MAX = 100_000
"""The latest answers to requests with a tag that are kept, some 300 bytes each: more than an hour of a test."""

OTHER = "(other)"


class Usage(NamedTuple):
    """What one answer costs: tokens, and other units. No token is in two of the fields, whatever a report adds up.

    Attributes:
        prompt: that no cache held.
        completion: without reasoning.
        cached: of the prompt, read from a cache.
        reasoning: of the completion.
        images: in the answer.
        characters: spoken.
        seconds: of sound, started ones.
        searches: of a ranking.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0
    images: int = 0
    characters: int = 0
    seconds: int = 0
    searches: int = 0

    @property
    def prompt_total(self) -> int:
        """As dialects count it whose prompt includes what was cached."""
        return self.prompt + self.cached

    @property
    def completion_total(self) -> int:
        """As dialects count it whose completion includes reasoning."""
        return self.completion + self.reasoning


class ModelUsage(msgspec.Struct):
    """What one model's answers cost, so many of them; the sums of `Usage`, as the ledger keeps them."""

    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    images: int = 0
    characters: int = 0
    seconds: int = 0
    searches: int = 0

    def add(self, usage: Usage) -> None:
        """Count one answer."""
        self.answers += 1
        self.prompt_tokens += usage.prompt
        self.completion_tokens += usage.completion
        self.cached_tokens += usage.cached
        self.reasoning_tokens += usage.reasoning
        self.images += usage.images
        self.characters += usage.characters
        self.seconds += usage.seconds
        self.searches += usage.searches


class Abort(msgspec.Struct):
    """A request whose client left before the end of its answer.

    Attributes:
        at_ms: Unix time in milliseconds at which that was seen.
        chunks: content chunks written before.
    """

    tag: str
    model: str
    at_ms: int
    chunks: int


class Answer(msgspec.Struct):
    """An answer that was given to its end with its usage; one of those in the body of ``GET /answers``.

    Attributes:
        tag: of the request.
        model: bare name.
        usage: what was reported.
        closed_after_ms: from its end until the client closed the connection; None if it has not, or has first sent
            another request on it.
    """

    tag: str
    model: str
    usage: Usage
    closed_after_ms: float | None = None


class Counts(msgspec.Struct):
    """Totals since the start or the last reset; the body of ``GET /counts``.

    Attributes:
        begun: requests whose answer was begun; each is later finished, aborted, cut or refused, or still open.
        finished: answered to the end.
        aborted: the client left before.
        cut: the script broke the answer off, by its connection or with an error event.
        refused: answered with an error.
        open: under way now; a reset leaves it.
        reported: by model, what was reported to clients as usage.
        unreported: by model, what was produced for answers in which no usage was reported.
        attempts: requests for an answer, by credential.
        listings: of the models, which is how a channel is probed.
        token_counts: requests to count a prompt's tokens; they are in no other total.
        aborts: the latest `ABORTS_MAX`.
    """

    begun: int = 0
    finished: int = 0
    aborted: int = 0
    cut: int = 0
    refused: int = 0
    open: int = 0
    reported: dict[str, ModelUsage] = {}
    unreported: dict[str, ModelUsage] = {}
    attempts: dict[str, int] = {}
    listings: int = 0
    token_counts: int = 0
    aborts: list[Abort] = []

    def abort(self, abort: Abort) -> None:
        """Keep an aborted request."""
        self.aborted += 1
        self.aborts = [*self.aborts[-ABORTS_MAX + 1 :], abort]

    def attempt(self, credential: str) -> None:
        """Count a request of a credential."""
        if credential not in self.attempts and len(self.attempts) >= NAMES_MAX:
            credential = OTHER
        self.attempts[credential] = self.attempts.get(credential, 0) + 1

    def use(self, model: str, usage: Usage, *, reported: bool) -> None:
        """Count what an answer used."""
        table = self.reported if reported else self.unreported
        of_model = table.get(model)
        if of_model is None:
            if len(table) >= NAMES_MAX:
                model = OTHER
            of_model = table.setdefault(model, ModelUsage())
        of_model.add(usage)
