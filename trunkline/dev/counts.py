"""What the demo upstream saw and reported: the other side of the books that tests compare the ledger with."""

import msgspec

NAMES_MAX = 1000
"""Distinct models or credentials counted by name; whatever comes later is counted together under `OTHER`."""

ABORTS_MAX = 1000
"""The latest aborted requests that are kept."""

OTHER = "(other)"


class ModelUsage(msgspec.Struct):
    """Tokens of one model, in so many answers."""

    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Count one answer."""
        self.answers += 1
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens


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


class Counts(msgspec.Struct):
    """Totals since the start or the last reset; the body of ``GET /counts``.

    Attributes:
        begun: chat requests whose answer was begun; each is later finished, aborted, cut or refused, or still open.
        finished: answered to the end.
        aborted: the client left before.
        cut: the script broke the connection off.
        refused: answered with an error.
        open: under way now; a reset leaves it.
        reported: by model, what was reported to clients as usage.
        unreported: by model, what was produced for answers in which no usage was reported.
        attempts: chat requests by credential.
        listings: ``GET /v1/models``, which is how a channel is probed.
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
    aborts: list[Abort] = []

    def abort(self, abort: Abort) -> None:
        """Keep an aborted request."""
        self.aborted += 1
        self.aborts = [*self.aborts[-ABORTS_MAX + 1 :], abort]

    def attempt(self, credential: str) -> None:
        """Count a chat request of a credential."""
        if credential not in self.attempts and len(self.attempts) >= NAMES_MAX:
            credential = OTHER
        self.attempts[credential] = self.attempts.get(credential, 0) + 1

    def use(self, model: str, prompt_tokens: int, completion_tokens: int, *, reported: bool) -> None:
        """Count what an answer used."""
        table = self.reported if reported else self.unreported
        usage = table.get(model)
        if usage is None:
            if len(table) >= NAMES_MAX:
                model = OTHER
            usage = table.setdefault(model, ModelUsage())
        usage.add(prompt_tokens, completion_tokens)
