-- Routing: what channels, credentials, models, groups, keys and tiers say about it. The documents are structs of
-- bus.snapshots as JSON, checked by policy.routing_checks before they are written; an empty object says nothing.

alter table channels
    add column drained boolean not null default false,
    add column routing jsonb   not null default '{}';
comment on column channels.drained is 'It takes no new jobs; those that it has go on.';
comment on column channels.routing is 'store.routing_column.RoutingColumn.';

alter table credentials
    add column weight integer not null default 1 check (weight > 0),
    add column limits jsonb   not null default '{}';
comment on column credentials.limits is 'bus.snapshots.CredentialLimits; what is missing there is the channel''s.';

alter table models add column routing jsonb not null default '{}';
comment on column models.routing is 'bus.snapshots.ModelRouting.';

alter table groups add column strategy text;
alter table keys add column strategy text;
comment on column groups.strategy is 'bus.snapshots.Strategy; null leaves it to the default.';
comment on column keys.strategy is 'bus.snapshots.Strategy; null leaves it to the model.';

alter table tiers add column priority integer not null default 0;
comment on column tiers.priority is 'Where the gateway is full, jobs of a higher one go first.';

-- Costs that are still to come into force; the channel's snapshot is then projected anew and the row goes.
create table cost_changes_due (
    version        bigint primary key references channel_costs (id) on delete cascade,
    channel_id     bigint      not null,
    effective_from timestamptz not null
);
-- Those in force, too: no snapshot has had costs before.
insert into cost_changes_due (version, channel_id, effective_from)
select id, channel_id, effective_from from channel_costs where effective_from > now()
union all
(select distinct on (channel_id) id, channel_id, effective_from from channel_costs
 where effective_from <= now() order by channel_id, effective_from desc, id desc);
