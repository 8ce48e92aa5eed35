-- What edges hold of accounts' limits and money, and what of it is booked (docs/adr/0006-allowances.md).

-- One row per account that edges hold leases of. The state is metering's own (policy.grants.AccountState, MessagePack),
-- written only if the version is still the one that was read: replicas decide draws of one account one after the other.
create table allowances (
    account_id bigint primary key,
    version    bigint not null,
    edges      text[] not null,
    closing    boolean not null,
    state      bytea  not null
) with (fillfactor = 50);
comment on column allowances.edges is 'Process ids of the edges that hold leases.';
comment on column allowances.closing is 'Some lease has been given up and waits for the rest of its jobs to be booked.';
create index allowances_closing on allowances (account_id) where closing;
create index allowances_edges on allowances using gin (edges) with (fastupdate = off);

-- What settlement has booked of the jobs of a lease, by meter: what the lease has drawn less this is unsettled or unspent.
create table lease_settlements (
    account_id   bigint not null,
    lease        bigint not null,
    meter        text   not null,
    settled_nano bigint not null,
    primary key (account_id, lease, meter)
) with (fillfactor = 50);

-- What was spent of a budget in one of its periods. A row is made when metering first decides by the budget, from the
-- usage of the period, and kept by settlement from then on.
create table budget_spending (
    account_id   bigint not null,
    meter        text   not null,
    period_start date   not null,
    spent_nano   bigint not null,
    primary key (account_id, meter, period_start)
) with (fillfactor = 50);
comment on column budget_spending.period_start is 'First day of the day or month, in the account''s time zone.';

alter table usage add column user_id bigint not null default 0;
comment on column usage.user_id is 'Whose key it was, 0 for nobody''s.';
