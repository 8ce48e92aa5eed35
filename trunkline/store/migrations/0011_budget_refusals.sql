-- Budgets that have refused a request, which is what an alert takes for used up (docs/operating/alerts.md), and periods
-- that are found by their age, to be forgotten.
alter table budget_spending add column refused_limit_nano bigint;
comment on column budget_spending.refused_limit_nano is
    'The budget, as it was when what is spent of it first left too little for a request; null for never.';
create index budget_spending_period on budget_spending (period_start);
