"""How long what lets somebody in holds."""

from typing import Final

SESSION_IDLE_S: Final = 12 * 3600
"""A session that nobody has used for so long has ended: longer than a working day, shorter than two."""

SESSION_S: Final = 30 * 86_400
"""A session ends then however much it is used, so that a stolen cookie does not open the door for ever."""

SESSION_SEEN_S: Final = 60
"""How exactly it is known when a session was used last. Writing that down costs a write."""

SESSION_CACHE_S: Final = 2.0
"""How long a console believes what it has read of a session: a page's ten requests read Postgres once, and what is
revoked at another console ends here within these seconds."""

FRESH_SESSION_S: Final = 600
"""Who has no password proves by a session this young that it is them: what it takes to look a setting up and change
it."""

SECOND_FACTOR_S: Final = 300
"""Between the password and the second factor: time to find the telephone."""

FIRST_OPERATOR_LINK_S: Final = 86_400
CONFIRM_LINK_S: Final = 86_400
"""Mail may be grey-listed for an hour, and is read the next morning."""

RESET_LINK_S: Final = 3600
"""Whoever has asked for it waits for it. A mailbox that is broken into later opens nothing."""

GIVEN_LINK_S: Final = 3 * 86_400
"""A link that an operator hands over, in a chat or on paper: over a weekend."""

SIGN_IN_ELSEWHERE_S: Final = 600
"""To come back from the OpenID provider: people may have to look for a password there."""
