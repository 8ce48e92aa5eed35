-- What health has seen, as far as it is remembered (docs/operating/status.md). Written by the console from the stream
-- HEALTH, one replica at a time.

-- How far the stream is read, written in the transaction of what was read: so each message counts once.
create table health_position (
    one            boolean     primary key default true check (one),
    stream_created timestamptz not null,
    sequence       bigint      not null,
    judged_ms      bigint      not null
);
comment on column health_position.stream_created is 'Tells a new stream, whose numbers begin anew, from the old one.';
comment on column health_position.judged_ms is 'Unix milliseconds: models are judged up to this instant.';

-- Rows are updated with each sample of their span, which the space left in pages makes cheap.
create table health_history (
    channel_id     bigint      not null,
    model          text        not null,
    span_s         integer     not null,
    at             timestamptz not null,
    successes      bigint      not null,
    failures       bigint      not null,
    first_tokens   bigint      not null,
    first_token_ms bigint      not null,
    serving_s      integer     not null,
    ejected_s      integer     not null,
    probing_s      integer     not null,
    primary key (channel_id, model, span_s, at)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
create index health_history_at on health_history (span_s, at);
comment on column health_history.model is 'Public name; empty for the channel as a whole.';
comment on column health_history.span_s is 'What the row covers from `at` on: a minute, an hour or a day (UTC).';
comment on column health_history.first_token_ms is 'Sum over `first_tokens` answers.';

create table model_days (
    day        date        not null,
    model      text        not null,
    up_s       integer     not null,
    degraded_s integer     not null,
    down_s     integer     not null,
    level      text        not null,
    at         timestamptz not null,
    primary key (day, model)
) with (fillfactor = 80);
comment on table model_days is 'How each public model fared, by day (UTC). What is missing of a day is not known.';
comment on column model_days.level is 'What it was at last, which was `at`.';

create table incidents (
    model    text        not null,
    began_at timestamptz not null,
    ended_at timestamptz,
    level    text        not null check (level in ('degraded', 'down')),
    primary key (model, began_at)
);
comment on column incidents.level is 'The worst that it came to.';
create index incidents_began_at on incidents (began_at);
create index incidents_open on incidents (model) where ended_at is null;

create table credential_states (
    credential_id bigint      primary key references credentials (id) on delete cascade,
    refused_at    timestamptz,
    status        integer     not null,
    heard_at      timestamptz not null
);
comment on column credential_states.refused_at is 'Since when its provider refuses it; null while it serves.';
comment on column credential_states.status is 'HTTP status of the last refusal.';
