"""What a job's machine at the edge, `bus.edge_job.EdgeJob`, tells its shell to do, in order."""

import msgspec

from trunkline.bus.messages import Head, UsageEvent
from trunkline.core.errors import Fault


class Send(msgspec.Struct, frozen=True, gc=False):
    """Publish a frame to the job's dispatcher, or to the lane where ``dispatcher`` is None.

    With ``answered`` the job's subject goes along as the reply subject, so that the broker says at once if nobody
    listens (`EdgeJob.no_responders`).
    """

    dispatcher: str | None
    frame: bytes
    answered: bool = False


class Withdraw(msgspec.Struct, frozen=True, gc=False):
    """Tell all dispatchers that offers up to ``offer`` are over; with ``void`` the client pays nothing for them."""

    offer: int
    void: bool = False


class Reoffer(msgspec.Struct, frozen=True, gc=False):
    """Choose a dispatcher not in ``EdgeJob.tried`` and call `EdgeJob.offer`.

    With none left call `EdgeJob.wait` if the job may wait for room, else `EdgeJob.give_up`.

    Attributes:
        fault: what to tell the client if there is none.
        full: one that was asked has no room at the moment.
    """

    fault: Fault
    full: bool = False


class Wait(msgspec.Struct, frozen=True, gc=False):
    """Call `EdgeJob.offer` when there is room, or `EdgeJob.give_up` if there is none in time."""


class Start(msgspec.Struct, frozen=True, gc=False):
    """Send the answer's head to the client."""

    head: Head


class Write(msgspec.Struct, frozen=True, gc=False):
    """Send bytes to the client; report what it has taken by `EdgeJob.drained`."""

    data: bytes


class Finish(msgspec.Struct, frozen=True, gc=False):
    """The answer is complete."""


class Abort(msgspec.Struct, frozen=True, gc=False):
    """The job failed: an error response with this fault, or an in-band error if the head has gone out."""

    fault: Fault


class Forget(msgspec.Struct, frozen=True, gc=False):
    """The client is gone: nothing more to send to anybody but what was commanded before."""


class Settle(msgspec.Struct, frozen=True, gc=False):
    """What the job comes to is known, or never will be here.

    Attributes:
        usage: of the attempt that answered, or was under way; None if nobody used anything.
        usage_no: the dispatcher's number of it, as in `bus.messages.End`.
        lost: the dispatcher could not be heard, so it may have used something all the same.
    """

    usage: UsageEvent | None = None
    usage_no: int = 0
    lost: bool = False


Command = Send | Withdraw | Reoffer | Wait | Start | Write | Finish | Abort | Forget | Settle
