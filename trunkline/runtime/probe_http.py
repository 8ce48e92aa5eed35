"""Sends a probe over HTTP. Called by health for its own, and by the console for those that an operator asks for.

Redirects are never followed: a credential goes to no host but the configured one.
"""

import aiohttp

from trunkline.policy.probe_call import ProbeAnswer, ProbeCall
from trunkline.policy.probing import ProbeResult


class ProbeFailedError(Exception):
    """No answer came.

    Attributes:
        result: what that says.
    """

    def __init__(self, result: ProbeResult) -> None:
        super().__init__(result.value)
        self.result = result


def probe_session(connections_max: int) -> aiohttp.ClientSession:
    """Return a session for probes, with nothing in it that one could learn from another: no cookies.

    Args:
        connections_max: at a time.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections_max),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def send_probe(
    session: aiohttp.ClientSession, call: ProbeCall, *, timeout_s: float, bytes_max: int
) -> ProbeAnswer:
    """Return what an upstream answers.

    Args:
        session: see `probe_session`.
        call: what to send.
        timeout_s: for all of it.
        bytes_max: what is read of the body at the most, but for the last piece.

    Raises:
        ProbeFailedError: no answer came.
    """
    try:
        async with session.request(
            call.method,
            call.url,
            data=call.body,
            headers=call.headers,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            allow_redirects=False,
        ) as response:
            body = b""
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > bytes_max:
                    break
            headers = {name.lower(): value for name, value in response.headers.items()}
            return ProbeAnswer(response.status, headers, body, len(body) <= bytes_max)
    except TimeoutError:
        raise ProbeFailedError(ProbeResult.TIMEOUT) from None
    except (aiohttp.ClientError, OSError):
        raise ProbeFailedError(ProbeResult.UNREACHABLE) from None
    except ValueError:
        # A secret or an address that cannot be put into an HTTP request; its text may have the secret in it.
        raise ProbeFailedError(ProbeResult.UNUSABLE) from None
