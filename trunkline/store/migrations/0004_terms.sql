-- Terms: what accounts, users, keys, tiers and groups may do. `limits` and `budgets` are policy.meters.Limits and
-- Budgets as JSON, checked by policy.terms_checks before they are written; an empty object bounds nothing.

alter table tiers add column limits jsonb not null default '{}';
update tiers set limits = jsonb_strip_nulls(jsonb_build_object(
    'rpm', rpm, 'rpd', rpd, 'tpm', tpm, 'tpd', tpd,
    'images_per_minute', images_per_minute, 'concurrency', concurrency));
alter table tiers
    drop column rpm, drop column rpd, drop column tpm, drop column tpd,
    drop column images_per_minute, drop column concurrency;
comment on table tiers is 'Named sets of limits.';

alter table groups add column limits jsonb not null default '{}';
comment on column groups.limits is 'Of each account''s jobs through the group.';

alter table accounts
    add column time_zone text  not null default 'UTC',
    add column limits    jsonb not null default '{}',
    add column budgets   jsonb not null default '{}';
comment on column accounts.time_zone is 'IANA name: whose days and months count for budgets and daily limits.';
update accounts a set budgets = b.budgets
from (
    select account_id, jsonb_object_agg(period || '_nano', limit_nano) as budgets from budgets group by account_id
) b
where b.account_id = a.id;
drop table budgets;

create table users (
    id         bigint generated always as identity primary key,
    account_id bigint      not null references accounts (id),
    name       text        not null,
    limits     jsonb       not null default '{}',
    budgets    jsonb       not null default '{}',
    created_at timestamptz not null default now(),
    unique (account_id, name),
    unique (account_id, id)
);

alter table keys
    add column user_id   bigint,
    add column endpoints text[] not null default '{}',
    add column limits    jsonb  not null default '{}',
    add column budgets   jsonb  not null default '{}',
    -- Of both columns, so that no key belongs to a user of another account; a null user is nobody.
    add foreign key (account_id, user_id) references users (account_id, id);
create index keys_user on keys (user_id) where user_id is not null;
comment on column keys.endpoints is 'Labels of the endpoints that it may call; empty for all.';

create table key_secrets (
    hash       text primary key,
    key_id     bigint      not null references keys (id) on delete cascade,
    prefix     text        not null,
    expires_at timestamptz,
    created_at timestamptz not null default now()
);
create index key_secrets_key on key_secrets (key_id);
create unique index key_secrets_current on key_secrets (key_id) where expires_at is null;
comment on table key_secrets is
    'Secrets of keys: one that has no end, and those that it has replaced, so that a file which still names one of them does not undo the rotation.';
comment on column key_secrets.hash is 'HMAC of the whole secret; the secret itself is stored nowhere.';
comment on column key_secrets.prefix is 'The first characters of the secret, for people to tell secrets apart.';
insert into key_secrets (hash, key_id, prefix, created_at) select hash, id, prefix, created_at from keys;
alter table keys drop column hash, drop column prefix;

-- What metering looks at once a second: bumped once by each transaction that changes terms, whoever makes it. New
-- accounts, users and keys are no change: nobody can have asked for them before.
create table terms_version (
    only_row    boolean primary key default true check (only_row),
    version     bigint  not null default 0,
    transaction xid8
);
insert into terms_version default values;

create function bump_terms_version() returns trigger language plpgsql as $$
begin
    update terms_version set version = version + 1, transaction = pg_current_xact_id()
    where transaction is distinct from pg_current_xact_id();
    return null;
end
$$;
create trigger terms_changed after update on accounts for each row
    when ((old.tier, old.time_zone, old.limits, old.budgets)
        is distinct from (new.tier, new.time_zone, new.limits, new.budgets))
    execute function bump_terms_version();
create trigger terms_changed after update on users for each row
    when ((old.limits, old.budgets) is distinct from (new.limits, new.budgets))
    execute function bump_terms_version();
create trigger terms_changed after update on keys for each row
    when ((old.user_id, old.groups, old.limits, old.budgets)
        is distinct from (new.user_id, new.groups, new.limits, new.budgets))
    execute function bump_terms_version();
create trigger terms_changed after update on tiers for each row
    when (old.limits is distinct from new.limits) execute function bump_terms_version();
create trigger terms_changed after update on groups for each row
    when (old.limits is distinct from new.limits) execute function bump_terms_version();
create trigger terms_gone after delete on accounts for each row execute function bump_terms_version();
create trigger terms_gone after delete on users for each row execute function bump_terms_version();
create trigger terms_gone after delete on keys for each row execute function bump_terms_version();
create trigger terms_came_or_went after insert or delete on tiers for each row execute function bump_terms_version();
create trigger terms_came_or_went after insert or delete on groups for each row execute function bump_terms_version();
