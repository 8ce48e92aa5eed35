-- Usage by day, so that what is past its time is forgotten by dropping a table; and what is left of it then, as sums.

alter table usage rename to usage_whole;
alter table usage_whole drop constraint usage_pkey;
drop index usage_started_at, usage_account;

create table usage (like usage_whole including defaults including comments) partition by range (started_at);
-- An attempt's copies all began at the same moment, so the third column tells no more of them apart.
alter table usage add primary key (job, attempt, started_at);
create index usage_account on usage (account_id, started_at);
comment on table usage is 'One row per attempt, in a partition per day (UTC) of its start: make_usage_partition.';

create table usage_default partition of usage default;
comment on table usage_default is 'Attempts of days that have no partition: later than expected, or earlier.';

-- Rows of that day that have come before their partition move into it. Returns whether there was none.
create function make_usage_partition(day date) returns boolean language plpgsql as $$
declare
    name  text        := 'usage_' || to_char(day, 'YYYYMMDD');
    first timestamptz := day::timestamp at time zone 'UTC';
    next  timestamptz := (day + 1)::timestamp at time zone 'UTC';
begin
    if to_regclass(name) is not null then
        return false;
    end if;
    execute format('create table %I (like usage including defaults including comments)', name);
    lock table usage_default in access exclusive mode;
    execute format('with moved as (delete from usage_default where started_at >= %L and started_at < %L returning *)'
                   ' insert into %I select * from moved', first, next, name);
    execute format('alter table usage attach partition %I for values from (%L) to (%L)', name, first, next);
    return true;
end
$$;

select make_usage_partition(day)
from (select distinct (started_at at time zone 'UTC')::date as day from usage_whole
      union select (now() at time zone 'UTC')::date + ahead from generate_series(0, 3) as ahead) as days
order by day;
insert into usage select * from usage_whole;
drop table usage_whole;

create table usage_history (
    day            date    not null,
    account_id     bigint  not null,
    user_id        bigint  not null,
    key_id         bigint  not null,
    channel_id     bigint  not null,
    model          text    not null,
    group_name     text    not null,
    attempts       bigint  not null,
    answers        bigint  not null,
    input          numeric not null,
    cache_read     numeric not null,
    cache_write_5m numeric not null,
    cache_write_1h numeric not null,
    input_audio    numeric not null,
    input_image    numeric not null,
    output         numeric not null,
    reasoning      numeric not null,
    output_audio   numeric not null,
    output_image   numeric not null,
    searches       numeric not null,
    seconds        numeric not null,
    images         numeric not null,
    characters     numeric not null,
    requests       numeric not null,
    charge_nano    numeric not null,
    cost_nano      numeric not null,
    primary key (account_id, day, user_id, key_id, channel_id, model, group_name)
);
create index usage_history_day on usage_history (day);
comment on table usage_history is 'What the attempts of days past their time added up to; their rows are gone.';
comment on column usage_history.day is 'In UTC, by the attempt''s start.';
comment on column usage_history.answers is 'Attempts that the client was to pay for.';
