-- Outside of a transaction.
drop index concurrently if exists transfers_correction;
create unique index concurrently if not exists transfers_correction on transfers (job, attempt, kind) where job is not null and kind <> 'charge' and kind <> 'cost';
