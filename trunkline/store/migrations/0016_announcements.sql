-- What the site's operators tell their users at the console, and what stands on an account's invoices.

create table announcements (
    id         bigint generated always as identity primary key,
    level      text        not null check (level in ('info', 'warning', 'critical')),
    audience   text        not null check (audience in ('everyone', 'signed_in')),
    texts      jsonb       not null,
    since      timestamptz not null,
    until      timestamptz,
    created_at timestamptz not null default now(),
    check (until > since)
);
comment on column announcements.texts is 'Markdown by language.';
comment on column announcements.until is 'Null: until it is deleted.';

alter table accounts add column billing jsonb not null default '{}';
comment on column accounts.billing is 'policy.invoices.BillingDetails: whom its invoices are made out to.';
