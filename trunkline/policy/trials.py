"""What is left of a free trial when its days are over. Pure.

An account spends its trial before what it has paid in: what it was charged for, less refunds, counts against the trial
first. The rest is taken back, but never what is not there, nor what edges hold for jobs that may be running.
"""

from typing import Final

WAIT_S: Final = 3600
"""How long the end of a trial waits for edges to use or return what they hold. An edge without jobs of the account
returns all within seconds, so only an account that is always busy keeps anything beyond this."""


def unspent_nano(amount_nano: int, charged_nano: int, refunded_nano: int) -> int:
    """Return how much of a trial was not used, in nano-USD.

    Args:
        amount_nano: the trial.
        charged_nano: all that the account was charged since.
        refunded_nano: the part of it that was given back.
    """
    return max(amount_nano - max(charged_nano - refunded_nano, 0), 0)


def taken_back_nano(unspent: int, balance_nano: int, held_nano: int, *, late_s: float) -> int | None:
    """Return what is to be taken back now, in nano-USD, or None to look again later.

    Args:
        unspent: see `unspent_nano`.
        balance_nano: of the wallet.
        held_nano: the part of it that edges hold.
        late_s: how long the trial has been over, in seconds.
    """
    free_nano = max(balance_nano - held_nano, 0)
    if unspent > free_nano and held_nano > 0 and late_s < WAIT_S:
        return None
    return min(unspent, free_nano)
