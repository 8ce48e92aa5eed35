"""What a job's request names by URL, fetched for providers that do not fetch: once, for all of the job's attempts.

The runner asks for it before it opens the passage to such a candidate. A picture that cannot be had is the client's to
mend: no channel is judged for it, and no other one is tried.
"""

import asyncio
import base64
from collections.abc import Sequence

from services.dispatcher.job_entry import JobEntry
from services.dispatcher.metrics import DispatcherMetrics
from services.dispatcher.passage import Leg
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.fetching import FetchError, FetchResult
from trunkline.protocol import registry
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.links import PDF, PICTURES, Link, inline
from trunkline.runtime.http_fetch import HTTPFetcher

_BUSY_RETRY_MS = 1000


class MediaError(Exception):
    """Something could not be fetched; carries what the client is told."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.type.value)
        self.fault = fault


class MediaFetcher:
    """Fetches for all jobs of a dispatcher, and sees that they do not take too much together.

    Args:
        fetcher: fetches one URL.
        metrics: of the process.

    Attributes:
        running: URLs of jobs that are being fetched for.
        held_bytes: what was fetched for jobs that are still here.
    """

    def __init__(self, fetcher: HTTPFetcher, *, metrics: DispatcherMetrics) -> None:
        self._fetcher = fetcher
        self._counters = {result: metrics.fetches.labels(result.value) for result in FetchResult}
        self.running = 0
        self.held_bytes = 0

    async def fetch(self, link: Link, media: "JobMedia") -> tuple[str, bytes]:
        """Return the media type and base64 of what a link leads to.

        Raises:
            MediaError: it could not be had.
        """
        result = FetchResult.GIVEN_UP
        try:
            fetched = await self._fetcher.fetch(link.url, link.accepts, media.take)
            result = FetchResult.FETCHED
            return fetched.media_type, base64.b64encode(fetched.data)
        except FetchError as error:
            result = error.result
            raise MediaError(fault_of(link, error)) from None
        finally:
            self._counters[result].inc()

    def refuse(self, link: Link, result: FetchResult) -> MediaError:
        """Return the error for a link that is not even asked for."""
        self._counters[result].inc()
        return MediaError(fault_of(link, FetchError(result)))


class JobMedia:
    """What is fetched for one job; `close` when the job is over.

    Args:
        fetcher: of the dispatcher.
        entry: the job.
    """

    __slots__ = ("_body", "_entry", "_features", "_fetcher", "_held_bytes")

    def __init__(self, fetcher: MediaFetcher, entry: JobEntry) -> None:
        self._fetcher = fetcher
        self._entry = entry
        self._held_bytes = 0
        self._body: bytes | None = None
        self._features: frozenset[Feature] = frozenset()

    async def inlined(self, leg: Leg) -> Leg:
        """Return a leg whose body has no links.

        Where it had none, nothing is awaited. After a cancel, or when another call has the job's answer, nobody has a
        use for what is returned.

        Raises:
            MediaError: one could not be fetched.
        """
        if self._body is None:
            links = registry.LINKS[leg.envelope.dialect](leg.body)
            self._body = await self._fetch_all(leg.body, links) if links else leg.body
            if self._body is None:
                return leg
        return leg._replace(body=self._body, fetched=self._features)

    async def _fetch_all(self, body: bytes, links: Sequence[Link]) -> bytes | None:
        if len(links) > limits.FETCHES_PER_JOB_MAX:
            raise self._fetcher.refuse(links[-1], FetchResult.TOO_MANY)
        if self._fetcher.running + len(links) > limits.FETCHES_MAX:
            raise self._fetcher.refuse(links[0], FetchResult.BUSY)
        self._fetcher.running += len(links)
        scope = asyncio.timeout(None)
        fetching = _Fetching(scope)
        try:
            async with scope:
                self._entry.began(fetching)
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._fetcher.fetch(link, self)) for link in links]
        except TimeoutError:
            return None  # nobody waits for it any more
        except ExceptionGroup as failed:
            # The first one has ended the others.
            raise failed.exceptions[0] from None
        finally:
            self._fetcher.running -= len(links)
            self._entry.over(fetching)
        found = [(link, *task.result()) for link, task in zip(links, tasks, strict=True)]
        kinds = {media_type for _, media_type, _ in found}
        self._features = frozenset(Feature.FILE_URL if kind == PDF else Feature.IMAGE_URL for kind in kinds)
        return inline(body, found)

    def take(self, size: int) -> None:
        """Take so many bytes.

        Raises:
            FetchError: that is too much for one job, or for all together.
        """
        self._held_bytes += size
        self._fetcher.held_bytes += size
        if self._held_bytes > limits.FETCH_JOB_BYTES_MAX:
            raise FetchError(FetchResult.TOO_LARGE)
        if self._fetcher.held_bytes > limits.FETCHED_BYTES_MAX:
            raise FetchError(FetchResult.BUSY)

    def close(self) -> None:
        """Give back what was taken."""
        self._fetcher.held_bytes -= self._held_bytes
        self._held_bytes = 0
        self._body = None


class _Fetching:
    """What a job ends that waits for its pictures and needs them no more; see `job_entry.UpstreamCall`."""

    def __init__(self, scope: asyncio.Timeout) -> None:
        self._scope = scope
        self._cancelled = False

    def resume(self) -> None:
        """There is credit, but nothing to send yet."""

    def outrun(self) -> None:
        """Another call has the answer: the end of the job must not wait for what a second one would need."""
        self.cancel()

    def cancel(self) -> None:
        """The client has left: nothing more is fetched."""
        if not self._cancelled:
            self._cancelled = True
            self._scope.reschedule(asyncio.get_running_loop().time())


def fault_of(link: Link, error: FetchError) -> Fault:
    """Return what the client is told. Neither the URL nor where it led stands in it."""
    if error.result is FetchResult.BUSY:
        message = "Too many pictures and documents are being fetched. Please retry, or send them inline as base64."
        return Fault(ErrorType.GATEWAY_BUSY, message, retry_after_ms=_BUSY_RETRY_MS)
    picture = link.accepts <= PICTURES
    kinds = "JPEG, PNG, GIF or WebP picture" if picture else "PDF" if link.accepts == {PDF} else "picture or PDF"
    return Fault(
        ErrorType.CLIENT_BAD_REQUEST,
        f"`{link.param}` could not be fetched: {error}. Give the URL of a public {kinds}, or send it inline as base64.",
        param=link.param,
        code="invalid_image_url" if picture else None,
    )
