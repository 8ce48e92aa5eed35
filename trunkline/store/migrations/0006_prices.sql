-- Prices by date: versions that begin later, overrides of list prices, volume discounts, and what explains a charge.

alter table model_prices add column overrides jsonb not null default '{}';
comment on column model_prices.source is 'configuration, operator, free, or the list that they were taken from.';
comment on column model_prices.overrides is 'Of list prices: those of prices that differ from the list and stay.';

-- The ledger names price versions, so one that has been in force stays as it is, also when its channel goes.
alter table channel_costs drop constraint channel_costs_channel_id_fkey;

create function refuse_price_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        if old.effective_from > now() then
            return old;
        end if;
    end if;
    raise exception 'a price version that is in force is not changed: add a new one instead'
        using errcode = 'restrict_violation';
end
$$;
create trigger model_prices_kept before update or delete on model_prices
    for each row execute function refuse_price_change();
create trigger model_prices_all_kept before truncate on model_prices
    for each statement execute function refuse_price_change();
create trigger channel_costs_kept before update or delete on channel_costs
    for each row execute function refuse_price_change();
create trigger channel_costs_all_kept before truncate on channel_costs
    for each statement execute function refuse_price_change();

-- Versions that are still to come into force; the model's snapshot is then projected anew and the row goes.
create table price_changes_due (
    version        bigint primary key references model_prices (id) on delete cascade,
    model          text        not null,
    effective_from timestamptz not null
);

alter table usage add column discount_ppm bigint not null default 0, add column variant text not null default '';
comment on column usage.discount_ppm is 'Volume discount on the charge, in parts per million.';
comment on column usage.variant is 'Of images: size and quality, on which their price may depend.';

-- What each account was charged by month: a projection of the ledger's charges, as balances is one.
create table monthly_spending (
    account_id bigint not null,
    month      date   not null,
    spent_nano bigint not null,
    primary key (account_id, month)
) with (fillfactor = 50);
comment on column monthly_spending.month is 'First day of the calendar month in UTC in which the attempt ended.';

insert into monthly_spending (account_id, month, spent_nano)
select debit >> 3, date_trunc('month', occurred_at at time zone 'UTC')::date, sum(amount_nano)::bigint
from transfers where kind = 'charge' group by 1, 2;
