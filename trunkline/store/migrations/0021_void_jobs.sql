-- Jobs whose clients got an error and nothing else, as their edges have said: they are charged nothing (docs/ledger.md).

create table void_jobs (
    job        uuid        not null,
    account_id bigint      not null,
    noted_at   timestamptz not null default now(),
    primary key (job, account_id)
);
comment on table void_jobs is 'Kept for as long as usage of these jobs may still come, from a disk that is away.';
