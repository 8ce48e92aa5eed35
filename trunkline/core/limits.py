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

ACCEPT_AGAIN_TIMEOUT_S = 2.0
"""As `ACCEPT_TIMEOUT_S`, for the further offers of a job of which one was not accepted in time: the network may be slow
rather than a dispatcher gone. It covers three hops of 200 ms (edge, broker, broker, dispatcher) there and back."""

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
"""How long a dispatcher remembers a cancelled offer it has not seen: longer than `ACCEPT_AGAIN_TIMEOUT_S`, after which
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

CONNECTIONS_PER_EDGE_MAX = 2 * JOBS_PER_EDGE_MAX
"""Default for client connections of one edge: each job has one, and as many are kept for the next request."""

KEYS_CACHED_MAX = 100_000
"""Key policies one edge remembers, least recently used first out; about 1 KB each."""

SETTLE_WAIT_S = 10.0
"""How long an edge waits to hear what a job used whose client has left, or whose answer it gave up. A dispatcher says
so at once, or when the connection is made that it was waiting for: after `CONNECT_TIMEOUT_S` at most, by default."""

SETTLING_MAX = 10_000
"""Jobs for which one edge waits so, at 4 KB each; past it the oldest counts as lost. A thousand clients may leave each
second, and all dispatchers be slow to answer."""

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

PLAIN_LEAVE_WAIT_S = 0.25
"""How long the rest of a plain answer is waited for when the client has left: it may be made, to be paid, and on its
way. Longer than any round trip, and short enough that the call is closed within a second in every case."""

CUT_ANSWER_BYTES_MAX = 64 * 1024
"""What is read of a plain answer of which the end did not come, to count what it said. It takes a millisecond where it
is text, and up to 60 where it is nothing but brackets and commas."""

LOST_JOBS_PER_TICK_MAX = 250
"""Jobs of a lost edge that a dispatcher ends in one tick: counting what each has used may take a millisecond, and a
dispatcher that is busy for three seconds is taken for lost itself."""

COUNT_BYTES_MAX = 4 * 1024 * 1024
"""Output kept for counting where a provider reports no usage; past it, bytes are divided by a typical ratio."""

# --- Routing -------------------------------------------------------------------------------------------------

FALLBACKS_MAX = 8
"""Models that may take over a job in turn, those of its client and of the operator together. Each costs an edge a look
at the key and its price; people name two or three."""

PAID_PROBES_PER_DAY = 2000
"""Default for the probes of one channel that cost something: one every 43 s. At ten tokens each, 20,000 a day."""

# --- Pictures and documents fetched for a request ------------------------------------------------------------

FETCH_BYTES_MAX = 20 * 1024 * 1024
"""One picture or document that a request names by URL. Providers take pictures of 5 to 20 MB."""

FETCH_JOB_BYTES_MAX = 3 * BODY_BYTES_MAX // 4
"""All that is fetched for one job. As base64 it is as large as the largest body that a client may send itself."""

FETCHED_BYTES_MAX = BODIES_BYTES_MAX // 2
"""All that one dispatcher holds of what it fetched for the jobs in its hands. Past it new ones get 503."""

FETCHES_PER_JOB_MAX = 32
"""URLs fetched for one job, all at the same time. Conversations with pictures have one to ten."""

FETCHES_MAX = 256
"""URLs that one dispatcher fetches at a time: so many sockets may hang on servers that do not answer. Past it 503."""

FETCH_TIMEOUT_S = 10.0
"""From the look-up of the name to the last byte, redirects included. The provider has not even been called meanwhile,
and those that fetch URLs themselves give up after 5 to 10 s, too."""

FETCH_CONNECT_TIMEOUT_S = 3.0
"""Handshake with one address, so that one that is dead leaves time for the next."""

FETCH_ADDRESSES_MAX = 3
"""Addresses of a name that are tried, one after the other."""

FETCH_REDIRECTS_MAX = 3
"""From http to https, from the bare domain to its www, from there to where pictures are stored."""

FETCH_PIECES_MAX = 64 * 1024
"""Pieces in which one may come, each a call of a microsecond: packets hold a thousand bytes, chunks mostly more, and a
server that sends two bytes a chunk would keep the event loop busy for ten seconds."""

FETCH_LOOKUPS_MAX = 8
"""Names looked up at a time. Each takes a thread, which a name server that does not answer holds for many seconds."""

# --- Allowances ----------------------------------------------------------------------------------------------

LEASE_MS = 1000
"""How long an edge relies on a grant before it reports again: the time within which a changed limit applies."""

RATE_SLICE_MS = 1000
"""A unit of a minute's limit must be used this soon after it was granted: two reports, at one each half lease."""

BUCKET_MS = 250
"""Width of the buckets in which a minute's units are counted: a limit is whole again this much late at most, for 245
numbers a meter."""

SHARE_PARTS = 4
"""An edge gets at most this part of what is free beyond its needs, divided by the number of edges: so that others find
something, and a limit of a hundred is not gone with one edge's wish."""

RECALL_AGE_MS = 250
"""How long an answer to a recall counts: a lease that reported since has nothing idle. Some times as long as a recall
and its answer take, so that jobs find out that there is nothing, and short enough not to miss what ends meanwhile."""

LEASE_LOST_S = 15.0
"""An edge without a beat for this long is dead, and so are its jobs: dispatchers close them after three beats, and
their usage is stored within a second. Longer than `ORPHANS_AFTER_S`, by which those of dispatchers that died with it
are booked."""

LEASE_REST_S = 2.0
"""An account without a job for this long reports once and returns what it holds idle: a minute's units while they can
still be used by others."""

LEASE_IDLE_S = 30.0
"""An account without a job for this long gives its lease back."""

LEASE_AGE_MAX_S = 600.0
"""A lease this old is given up for a new one: what an edge takes a job to cost and what the ledger books may differ (a
price changed in between, a report that could not be booked), and the sum of it ends with the lease."""

HOLD_WAIT_S = 2.0
"""How long a job waits for money or permits that other jobs hold, before it is refused."""

HOLDS_WAITING_MAX = 1000
"""Jobs of one account that wait so at one edge; further ones are refused at once."""

OUTPUT_TOKENS_ASSUMED = 4096
"""Held for the answer of a client that states no bound: more than nine of ten answers take. What a longer one costs
beyond that is charged all the same."""

# --- Usage ---------------------------------------------------------------------------------------------------

USAGE_BATCH_INTERVAL_S = 0.05
"""Usage events wait this long for company: one JetStream publish per request costs more than the rest of the bus. Not
longer: what waits when its dispatcher's machine is lost is in one edge alone until that finds out."""

USAGE_BATCH_MAX = 256
"""Usage events in one JetStream message: about 100 KB, far under the frame bound."""

CHECKPOINT_INTERVAL_S = 1.0
"""How often a dispatcher says what its streams have used so far: as much is not paid when it dies."""

CHECKPOINT_AFTER_S = 1.0
"""Younger attempts are in no checkpoint: most end before their second second, and cost nothing so."""

CHECKPOINT_EVENTS_MAX = 4096
"""Streams in one message of a checkpoint: some 800 KB. A dispatcher with more sends several."""

COUNT_AT_ONCE_BYTES_MAX = 16 * 1024
"""A request up to here is counted for a checkpoint, in a millisecond at most; a larger one is estimated by its bytes, a
millisecond for each million, since the provider will report it in all likelihood."""

ORPHANS_AFTER_S = 10.0
"""How long a dispatcher must be silent until metering settles what it had under way by its last checkpoint. Its edges
notice after three beats and a half, and publish what they know within a second: that is exact, and goes before."""

USAGE_PENDING_MAX = 1_000_000
"""Usage events a process holds in memory while JetStream is away and it has no spool, or the disk fails: about 500 MB,
an hour at 275 requests a second."""

USAGE_KEPT_MAX = 1_000_000
"""Copies of usage events that an edge keeps until they are stored. Past it the oldest go: their dispatchers have them,
on disk if need be."""

SPOOL_BYTES_MAX = 1024 * 1024 * 1024
"""Default for the usage of one process on disk while JetStream is away: six million events, six hours at 275 requests a
second."""
