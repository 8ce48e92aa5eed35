-- The ledger, its balances, and what each attempt used. docs/ledger.md explains the model and its invariants.
-- Nothing here refers to configuration by foreign key: an event is booked even if its channel or key is gone.

create type transfer_kind as enum ('charge', 'cost', 'grant', 'adjustment');

-- Double entry as transfers: one row takes an amount from one book and gives it to another, so that each
-- transaction sums to zero by its form. A book's number is its owner's id times eight plus its kind (book_number).
create table transfers (
    occurred_at   timestamptz   not null,
    debit         bigint        not null,
    credit        bigint        not null,
    amount_nano   bigint        not null check (amount_nano > 0),
    price_version bigint,
    job           uuid,
    attempt       integer,
    kind          transfer_kind not null,
    reference     text,
    check (debit <> credit),
    -- What a job caused is named by the job, what a person caused by a reference.
    check (case when kind in ('charge', 'cost') then job is not null and attempt is not null and reference is null
                else job is null and attempt is null and reference is not null end)
);
comment on column transfers.price_version is 'Of a charge: model_prices.id; of a cost: channel_costs.id.';

-- Each row is in one of these three, and together they make (job, attempt, kind) unique. A job is charged once,
-- whichever of its attempts comes first.
create unique index transfers_charge on transfers (job) where kind = 'charge';
create unique index transfers_cost on transfers (job, attempt) where kind = 'cost';
create unique index transfers_reference on transfers (credit, debit, kind, reference) where reference is not null;
create index transfers_occurred_at on transfers using brin (occurred_at);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is append-only: book an adjustment instead' using errcode = 'restrict_violation';
end
$$;
create trigger transfers_append_only before update or delete or truncate on transfers
    for each statement execute function refuse_change();

create function book_kind(book bigint) returns text language sql immutable parallel safe as $$
    select case book & 7 when 1 then 'wallet' when 2 then 'revenue' when 3 then 'cost_of_sales'
                         when 4 then 'payable' when 5 then 'grants' end
$$;

-- The projection: what each book was credited less what it was debited. Written in the transaction of the transfers.
-- Room on each page lets an update stay on it, without touching the index.
create table balances (
    book         bigint primary key,
    kind         text   not null generated always as (book_kind(book)) stored,
    owner_id     bigint not null generated always as (book >> 3) stored,
    balance_nano bigint not null
) with (fillfactor = 50);
comment on column balances.owner_id is 'Account of a wallet; channel of revenue, cost_of_sales, payable; 0 of grants.';

-- One row per attempt. Holds no content; rows past their time are deleted, the transfers stay.
create table usage (
    started_at     timestamptz not null,
    account_id     bigint  not null,
    key_id         bigint  not null,
    channel_id     bigint  not null,
    credential_id  bigint  not null,
    input          bigint  not null,
    cache_read     bigint  not null,
    cache_write_5m bigint  not null,
    cache_write_1h bigint  not null,
    output         bigint  not null,
    reasoning      bigint  not null,
    charge_nano    bigint  not null,
    cost_nano      bigint  not null,
    price_version  bigint,
    cost_version   bigint,
    multiplier_ppm bigint  not null,
    job            uuid    not null,
    attempt        integer not null,
    status         integer not null,
    first_token_ms integer not null,
    duration_ms    integer not null,
    charged        boolean not null,
    unpriced       boolean not null,
    counted        boolean not null,
    stream         boolean not null,
    model          text    not null,
    upstream_model text    not null,
    group_name     text    not null,
    outcome        text    not null,
    other_units    jsonb,
    primary key (job, attempt)
);
comment on column usage.charged is 'Whether the client was to pay.';
comment on column usage.unpriced is 'It was to pay, and the model or a kind of unit it used had no price.';
comment on column usage.counted is 'The provider reported nothing: counted by the gateway.';
comment on column usage.other_units is 'Units of the rarer kinds, by kind.';
create index usage_started_at on usage using brin (started_at) with (pages_per_range = 32, autosummarize = on);
create index usage_account on usage (account_id, started_at);

-- What could not be settled because of its own content: kept for a person to look at, never dropped.
create table usage_refused (
    id         bigint generated always as identity primary key,
    refused_at timestamptz not null default now(),
    subject    text,
    reason     text  not null,
    payload    bytea not null
);
comment on column usage_refused.subject is 'Of a message that is no batch of usage events; null for a single event.';
comment on column usage_refused.payload is 'The message as it came, or the refused event as a batch of one.';
create unique index usage_refused_once on usage_refused (sha256(payload));
