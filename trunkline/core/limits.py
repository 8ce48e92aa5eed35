"""Every bound of the system, with its unit in its name and the reason beside it.

What an operator may want to change is a setting of the service that enforces it and takes its default here.
"""

# --- Bus -----------------------------------------------------------------------------------------------------

FRAME_BYTES_MAX = 1024 * 1024
"""NATS refuses larger messages unless its ``max_payload`` is raised; we never ask an operator to."""

DATA_BYTES_MAX = 256 * 1024
"""Payload of one DATA or BODY frame. A quarter of the frame bound: large enough that the header and the
broker's work per message vanish, small enough that one frame does not hold up others on the connection."""

OPEN_BODY_BYTES_MAX = 512 * 1024
"""A request body up to here rides in the opening frame, beside its envelope; the rest follows in BODY frames."""

CREDIT_WINDOW_BYTES = 256 * 1024
"""What a dispatcher may send of one job before the client has taken any of it: the bound on what a slow reader
costs on each hop. At 1 ms between edge and dispatcher it still allows 250 MB/s for a single answer."""

CREDIT_STEP_BYTES = CREDIT_WINDOW_BYTES // 4
"""An edge grants again once this much was drained, so that a short answer costs no CREDIT at all."""

BODY_WINDOW_BYTES = 1024 * 1024
"""As `CREDIT_WINDOW_BYTES`, for BODY frames towards a dispatcher."""

BEAT_INTERVAL_S = 1.0
"""How often every process says that it lives."""

BEATS_MISSED_MAX = 3
"""After this many missing beats a process counts as lost. One lost beat is noise, and 3 s is what a waiting
client bears."""

ACCEPT_TIMEOUT_S = 1.0
"""An offer that no dispatcher accepted by then is made elsewhere, and a dispatcher that sees it later drops it.
Accepting takes well under a millisecond; a second covers a collection pause and a reconnect."""

OFFERS_MAX = 8
"""How many dispatchers one job is offered to before the client is told that all are full or gone."""

ATTEMPTS_PER_OFFER_MAX = 16
"""Upstream calls one dispatcher may make for one job; also the stride of attempt numbers between offers."""

KEEPALIVE_INTERVAL_S = 7.0
"""Default for how often an edge looks for streams that were silent since its last look, to send them a sign of life in
their dialect. So none is silent for more than 14 s: proxies close what is silent for 15 s and more, and models think
for minutes."""

SYNC_AFTER_QUIET_S = 5.0
"""An edge that heard nothing of a job for this long asks its dispatcher, so that a lost last frame does not
leave the client hanging until the idle timeout."""

TOMBSTONE_S = 5.0
"""How long a dispatcher remembers a cancelled offer it has not seen: longer than `ACCEPT_TIMEOUT_S`, after which
a late one is dropped for its age."""

# --- Edge ----------------------------------------------------------------------------------------------------

BODY_BYTES_MAX = 64 * 1024 * 1024
"""Default for the largest request body: images and audio as base64."""

BODIES_BYTES_MAX = 512 * 1024 * 1024
"""Default for all request bodies one edge holds at a time. Past it new large requests get 503."""

HEADER_LINE_BYTES_MAX = 8190
"""One request line or header field; what common servers accept."""

HEADERS_MAX = 100
"""Header fields of one request; official SDKs send about 20."""

REQUEST_READ_TIMEOUT_S = 60.0
"""Default for the time a client may take to send one whole request. Slower ones are slow-loris or broken."""

JSON_DEPTH_MAX = 128
"""Nesting of a request body. Real requests stay under 20; JSON schemas in tools are the deepest."""

JSON_CONTAINERS_MAX = 500_000
"""Lists and objects in a request body: following them costs 30 ns each, 30 ms at this bound. Long conversations with
tools have some ten thousand."""

CHAT_FIELDS_BYTES_MAX = 1024 * 1024
"""A chat request without its messages, tools, schema and prediction. Finding the members costs memory for each,
and a body of nothing but short ones would take 2 GB of it; real requests stay under a few KB here."""

MODEL_NAME_CHARS_MAX = 256
"""Longer model names are refused before any look-up."""

JOBS_PER_EDGE_MAX = 20_000
"""Default for jobs in flight on one edge: 10,000 open streams with as much again in reserve."""

KEYS_CACHED_MAX = 100_000
"""Key policies one edge remembers, least recently used first out; about 1 KB each."""

# --- Dispatcher ----------------------------------------------------------------------------------------------

JOBS_PER_DISPATCHER_MAX = 10_000
"""Default for jobs in flight on one dispatcher; at about 30 KB of sockets and buffers each, 300 MB."""

CONNECT_TIMEOUT_S = 5.0
"""Default for an upstream's TCP and TLS handshake."""

FIRST_TOKEN_TIMEOUT_S = 120.0
"""Default wait for the first output of an upstream's stream: reasoning models think for a minute and more."""

IDLE_TIMEOUT_S = 60.0
"""Default wait between two chunks of an upstream's answer."""

TOTAL_TIMEOUT_S = 600.0
"""Default for one attempt from start to end; the official SDKs give up after ten minutes, too."""

UPSTREAM_EVENT_BYTES_MAX = 32 * 1024 * 1024
"""One server-sent event of an upstream; images in a stream reach tens of MiB."""

UPSTREAM_ANSWER_BYTES_MAX = 64 * 1024 * 1024
"""One whole JSON answer of an upstream, which is held for its usage to be read."""

UPSTREAM_ERROR_BYTES_MAX = 64 * 1024
"""What is read of an upstream's error body; past that it says nothing more."""

COUNT_CHARS_MAX = 128 * 1024
"""Text counted at once; beyond it the rest is taken to be like its beginning. It takes 3 to 8 ms, in which an event
loop does nothing else."""

LOST_JOBS_PER_TICK_MAX = 250
"""Jobs of a lost edge that a dispatcher ends in one tick: counting what each has used may take a millisecond, and a
dispatcher that is busy for three seconds is taken for lost itself."""

COUNT_BYTES_MAX = 4 * 1024 * 1024
"""Output kept for counting where a provider reports no usage; past it, bytes are divided by a typical ratio."""

# --- Usage ---------------------------------------------------------------------------------------------------

USAGE_BATCH_INTERVAL_S = 0.02
"""Usage events wait this long for company: one JetStream publish per request costs more than the rest of the bus."""

USAGE_BATCH_MAX = 256
"""Usage events in one JetStream message: about 100 KB, far under the frame bound."""

USAGE_PENDING_MAX = 1_000_000
"""Usage events a process holds while JetStream is away: about 500 MB, an hour at 275 requests a second."""
