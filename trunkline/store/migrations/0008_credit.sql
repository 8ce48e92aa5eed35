-- How credit comes in and goes, beside charges (docs/ledger.md), and who is told (docs/operating/alerts.md).

-- No statement of this file may use the new kinds: what a transaction adds to a type it cannot use yet.
alter type transfer_kind add value 'refund';
alter type transfer_kind add value 'trial';
alter type transfer_kind add value 'expiry';
alter type transfer_kind add value 'redemption';
alter type transfer_kind add value 'payment';

alter table transfers add column corrects_job uuid, add column corrects_reference text;
comment on column transfers.corrects_job is 'Of a refund: the job whose charge it gives back.';
comment on column transfers.corrects_reference is 'Of an adjustment: the reference of the transfer that it corrects.';
-- Old rows correct nothing, so they need not be looked at.
alter table transfers add constraint transfers_corrects check (
    case when corrects_job is not null
         then kind not in ('charge', 'cost', 'grant', 'adjustment') and corrects_reference is null
         else corrects_reference is null or kind = 'adjustment' end) not valid;
create unique index transfers_refund on transfers (corrects_job) where corrects_job is not null;

create or replace function book_kind(book bigint) returns text language sql immutable parallel safe as $$
    select case book & 7 when 1 then 'wallet' when 2 then 'revenue' when 3 then 'cost_of_sales'
                         when 4 then 'payable' when 5 then 'grants' when 6 then 'payments' end
$$;

-- Settings that the console alone reads: unlike those in `settings` they are not projected.
create table console_settings (
    name  text primary key,
    value jsonb not null
);

-- Payments that providers have announced, each once. What cannot be booked by itself waits for a person.
create table payments (
    provider    text   not null,
    reference   text   not null,
    account     text   not null,
    amount      bigint not null,
    currency    text   not null,
    reason      text,
    account_id  bigint,
    amount_nano bigint,
    received_at timestamptz not null default now(),
    booked_at   timestamptz,
    primary key (provider, reference),
    check ((booked_at is null) = (account_id is null) and (booked_at is null) = (amount_nano is null)
        and (booked_at is not null or reason is not null))
);
comment on column payments.account is 'Name of the account as the provider was told it.';
comment on column payments.amount is 'In the smallest unit of the currency.';
comment on column payments.reason is 'Why it could not be booked by itself.';
create index payments_aside on payments (received_at) where booked_at is null;

-- Credit that new accounts get to try the service, until its days are over.
create table trials (
    account_id  bigint primary key,
    amount_nano bigint      not null check (amount_nano > 0),
    granted_at  timestamptz not null default now(),
    ends_at     timestamptz not null,
    ended_at    timestamptz,
    taken_nano  bigint
);
comment on column trials.taken_nano is 'What was left at the end, and was taken back.';
create index trials_running on trials (ends_at) where ended_at is null;

create table code_batches (
    id           bigint generated always as identity primary key,
    amount_nano  bigint      not null check (amount_nano > 0),
    codes        integer     not null,
    note         text        not null,
    expires_at   timestamptz,
    withdrawn_at timestamptz,
    created_at   timestamptz not null default now()
);
create table codes (
    id          bigint generated always as identity primary key,
    batch_id    bigint not null references code_batches (id),
    hash        bytea  not null unique,
    account_id  bigint,
    redeemed_at timestamptz
);
create index codes_batch on codes (batch_id);
comment on column codes.hash is 'Keyed hash; the code itself is stored nowhere.';
comment on column codes.account_id is 'Who has redeemed it.';

create table code_failures (
    account_id bigint not null,
    hour       timestamptz not null,
    failures   integer not null,
    primary key (account_id, hour)
);
comment on table code_failures is 'Codes that an account tried in vain, by hour: what bounds guessing.';

alter table accounts add column alerts jsonb not null default '{}';
comment on column accounts.alerts is 'policy.alerts.AlertTerms: when its owners are told, and where.';
create index accounts_alerting on accounts (id) where alerts <> '{}';

-- Whose balance is below its threshold and has been told; the row goes when the balance is above it again.
create table low_balances (
    account_id bigint primary key,
    below_nano bigint not null
);

-- What people are to be told. General: a kind, whom it is about, the occasion, and what there is to say.
create table alerts (
    id         bigint generated always as identity primary key,
    kind       text        not null,
    subject    text        not null,
    occasion   text        not null,
    account_id bigint,
    payload    jsonb       not null,
    created_at timestamptz not null default now(),
    unique (kind, subject, occasion)
);
comment on column alerts.occasion is 'Of one occasion people are told once.';
comment on column alerts.account_id is 'Whose owners are told; null for the site''s operators.';
create index alerts_account on alerts (account_id, id);
create index alerts_created_at on alerts (created_at);

create table alert_deliveries (
    id           bigint generated always as identity primary key,
    alert_id     bigint      not null references alerts (id) on delete cascade,
    channel      text        not null check (channel in ('webhook', 'email')),
    target       text        not null,
    attempts     integer     not null default 0,
    due_at       timestamptz not null default now(),
    delivered_at timestamptz,
    given_up_at  timestamptz,
    error        text
);
create index alert_deliveries_due on alert_deliveries (due_at) where delivered_at is null and given_up_at is null;
create index alert_deliveries_alert on alert_deliveries (alert_id);
