-- Who signs in to the console, and what was done there (docs/adr/0013-console.md). A login is a person's: it is a user
-- of one or more accounts, with a role in each.

create table logins (
    id                 bigint generated always as identity primary key,
    name               text        not null,
    email              text,
    email_confirmed_at timestamptz,
    password_hash      text,
    operator           boolean     not null default false,
    state              text        not null default 'active' check (state in ('unconfirmed', 'waiting', 'active', 'blocked')),
    language           text,
    totp_master        integer,
    totp_nonce         bytea,
    totp_secret        bytea,
    totp_confirmed_at  timestamptz,
    totp_last_step     bigint      not null default 0,
    created_at         timestamptz not null default now(),
    signed_in_at       timestamptz,
    check ((totp_secret is null) = (totp_nonce is null) and (totp_secret is null) = (totp_master is null))
);
create unique index logins_name on logins (lower(name));
create unique index logins_email on logins (lower(email)) where email_confirmed_at is not null;
comment on column logins.password_hash is 'Argon2id; null for who signs in elsewhere, or has not chosen one yet.';
comment on column logins.state is 'unconfirmed: the address is not proved; waiting: for an operator''s approval.';
comment on column logins.totp_secret is 'Sealed with a master key, as upstream credentials are.';
comment on column logins.totp_last_step is 'Of the last code that was taken: none is taken twice.';

create table login_subjects (
    issuer   text   not null,
    subject  text   not null,
    login_id bigint not null references logins (id) on delete cascade,
    primary key (issuer, subject)
);
comment on table login_subjects is 'Whom an OpenID provider knows by which subject.';
create index login_subjects_login on login_subjects (login_id);

create table used_states (
    hash    bytea       primary key,
    ends_at timestamptz not null
);
comment on table used_states is 'Questions to the OpenID provider whose answer has come: no answer is taken twice.';

create table recovery_codes (
    hash     bytea  primary key,
    login_id bigint not null references logins (id) on delete cascade
);
comment on column recovery_codes.hash is 'Keyed hash; the code itself is stored nowhere. The row goes when it is used.';
create index recovery_codes_login on recovery_codes (login_id);

create table sessions (
    id           bigint generated always as identity primary key,
    hash         bytea       not null unique,
    login_id     bigint      not null references logins (id) on delete cascade,
    created_at   timestamptz not null default now(),
    seen_at      timestamptz not null default now(),
    ends_at      timestamptz not null,
    address      text        not null,
    agent        text        not null
);
comment on column sessions.hash is 'Keyed hash of the cookie; the cookie itself is stored nowhere.';
create index sessions_login on sessions (login_id);
create index sessions_ends_at on sessions (ends_at);

create table login_links (
    hash     bytea       primary key,
    purpose  text        not null check (purpose in ('first_operator', 'confirm_email', 'set_password')),
    login_id bigint      references logins (id) on delete cascade,
    email    text,
    ends_at  timestamptz not null
);
comment on table login_links is 'Links that work once. The row goes when one is used.';
comment on column login_links.login_id is 'Whose it is; null for the first operator''s, who has no login yet.';
create index login_links_login on login_links (login_id);

-- Failures by who tried and from where, in windows: what bounds guessing, over all replicas.
create table sign_in_failures (
    subject  bytea       not null,
    window_at timestamptz not null,
    failures integer     not null,
    primary key (subject, window_at)
);
comment on column sign_in_failures.subject is 'Keyed hash of a login''s name or of a network address.';

alter table users
    add column login_id bigint references logins (id) on delete set null,
    add column role     text not null default 'member' check (role in ('viewer', 'member', 'admin', 'owner'));
create unique index users_login on users (login_id, account_id) where login_id is not null;

alter table accounts add column groups text[] not null default '{default}';
comment on column accounts.groups is 'Groups that its own people may give to keys; operators may give any.';

create table audit (
    id         bigint generated always as identity primary key,
    at         timestamptz not null default now(),
    login_id   bigint,
    actor      text        not null,
    address    text        not null,
    operation  text        not null,
    account    text,
    subject    text        not null,
    before     jsonb,
    after      jsonb,
    status     integer
);
comment on table audit is 'Every change at the console, written before it is made; it holds no secret.';
comment on column audit.actor is 'Name of the login at that time, or of the admin key.';
comment on column audit.subject is 'The path of the request: what was changed.';
comment on column audit.status is 'Of the answer; null if the console ended before it knew.';
create index audit_account on audit (account, id) where account is not null;
create index audit_at on audit (at);
