-- What attempts add up to by the hour and by the day, so that whoever looks at usage reads sums (docs/ledger.md).

-- Added up by settlement, in the statement that records the attempts. By hour first: what is written now lies together.
create table usage_hours (
    hour           timestamptz not null,
    account_id     bigint not null,
    user_id        bigint not null,
    key_id         bigint not null,
    channel_id     bigint not null,
    attempts       bigint not null,
    answers        bigint not null,
    input          bigint not null,
    cache_read     bigint not null,
    cache_write    bigint not null,
    output         bigint not null,
    reasoning      bigint not null,
    charge_nano    bigint not null,
    cost_nano      bigint not null,
    first_tokens   bigint not null,
    first_token_ms bigint not null,
    duration_ms    bigint not null,
    model          text   not null,
    group_name     text   not null,
    outcome        text   not null,
    primary key (hour, account_id, key_id, channel_id, model, group_name, outcome, user_id)
) with (fillfactor = 80);
comment on column usage_hours.hour is 'In which the attempts began.';
comment on column usage_hours.answers is 'Attempts that the client was to pay for.';
comment on column usage_hours.input is 'Audio and images included; neither read from a cache nor written to one.';
comment on column usage_hours.output is 'Audio and images included; without reasoning.';
comment on column usage_hours.first_token_ms is 'Sum over `first_tokens` attempts that had output.';

-- Made of usage_hours when a day is over (UTC).
create table usage_days (
    day            date   not null,
    account_id     bigint not null,
    user_id        bigint not null,
    key_id         bigint not null,
    channel_id     bigint not null,
    attempts       bigint not null,
    answers        bigint not null,
    input          bigint not null,
    cache_read     bigint not null,
    cache_write    bigint not null,
    output         bigint not null,
    reasoning      bigint not null,
    charge_nano    bigint not null,
    cost_nano      bigint not null,
    first_tokens   bigint not null,
    first_token_ms bigint not null,
    duration_ms    bigint not null,
    errors         bigint not null,
    hours          integer not null,
    model          text   not null,
    group_name     text   not null,
    outcome        text   not null,
    moments        timestamptz[]
);
create index usage_days_day on usage_days (day, account_id);
create index usage_days_errors on usage_days (day, account_id) where outcome <> '';
comment on column usage_days.errors is 'Attempts without a complete answer.';
comment on column usage_days.account_id is '0 for the sums over all accounts, which are there as well; user and key are 0 then.';
comment on column usage_days.hours is 'A bit for each hour in which there are attempts; the lowest one is midnight''s.';
comment on column usage_days.moments is 'When the attempts began, of few, in the sums over all accounts; else null.';

-- The same by key alone: a fifth of the rows, where nothing else is asked for.
create table usage_key_days (
    day            date   not null,
    account_id     bigint not null,
    user_id        bigint not null,
    key_id         bigint not null,
    attempts       bigint not null,
    answers        bigint not null,
    input          bigint not null,
    cache_read     bigint not null,
    cache_write    bigint not null,
    output         bigint not null,
    reasoning      bigint not null,
    charge_nano    bigint not null,
    cost_nano      bigint not null,
    first_tokens   bigint not null,
    first_token_ms bigint not null,
    duration_ms    bigint not null,
    errors         bigint not null
);
create index usage_key_days_day on usage_key_days (day, account_id);

-- Made of usage when a day is over (UTC): how many attempts took how long, for medians and the like.
create table usage_speeds (
    day        date     not null,
    account_id bigint   not null,
    channel_id bigint   not null,
    model      text     not null,
    summed     smallint not null,
    kind       smallint not null,
    bucket     smallint not null,
    attempts   bigint   not null
);
create index usage_speeds_day on usage_speeds (day, account_id, summed);
comment on column usage_speeds.account_id is 'As in usage_days.';
comment on column usage_speeds.summed is '1: over all models, model is empty; 2: over all channels, channel is 0; 3: over both; 0: neither. Of an account 0 and 3 alone.';
comment on column usage_speeds.kind is '0: to the first token, of attempts that had one; 1: to the end, of complete answers.';
comment on column usage_speeds.bucket is 'Four to a doubling: floor(4 log2 ms).';

-- Which days' sums hold. What comes late for a day takes its row away, and the day is summed up again.
create table usage_days_summed (
    day  date    primary key,
    done boolean not null
);
comment on column usage_days_summed.done is 'False while they are made.';

insert into usage_hours
select date_bin('1 hour', started_at, 'epoch'), account_id, user_id, key_id, channel_id,
       count(*), count(*) filter (where charged),
       sum(input + coalesce((other_units->>'input_audio')::bigint, 0)
           + coalesce((other_units->>'input_image')::bigint, 0)),
       sum(cache_read), sum(cache_write_5m + cache_write_1h),
       sum(output + coalesce((other_units->>'output_audio')::bigint, 0)
           + coalesce((other_units->>'output_image')::bigint, 0)),
       sum(reasoning), sum(charge_nano), sum(cost_nano),
       count(*) filter (where first_token_ms > 0), sum(first_token_ms), sum(duration_ms),
       model, group_name, outcome
from usage
group by 1, account_id, user_id, key_id, channel_id, model, group_name, outcome;

-- For lists over all accounts, which read an hour or less of a day's partition. Rows lie in the order of their coming,
-- nearly that of their start: a B-tree would cost settlement a tenth more and find them no sooner.
create index usage_started on usage using brin (started_at) with (pages_per_range = 16, autosummarize = on);
