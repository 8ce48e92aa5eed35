-- The role as which Grafana reads Postgres for its board of one account: sums and names, and nothing of keys' secrets,
-- credentials, logins or single requests. To be run once the tables are there, by whoever owns them, and again without
-- harm; its password is set by `alter role trunkline_reader password '…'`.
do $$
begin
    if not exists (select from pg_roles where rolname = 'trunkline_reader') then
        create role trunkline_reader login;
    end if;
end
$$;
alter role trunkline_reader set default_transaction_read_only = on;
alter role trunkline_reader set statement_timeout = '30s';
grant usage on schema public to trunkline_reader;
grant select (id, name) on accounts, keys to trunkline_reader;
grant select on usage_hours, balances, monthly_spending to trunkline_reader;
