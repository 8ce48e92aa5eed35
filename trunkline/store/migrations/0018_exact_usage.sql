-- Attempts that were settled by a checkpoint, and transfers that correct what they were booked with when their exact
-- usage is known (docs/ledger.md).

-- No statement of this file may use the new kinds: what a transaction adds to a type it cannot use yet.
alter type transfer_kind add value 'charge_correction';
alter type transfer_kind add value 'cost_correction';

-- Corrections are named by job and attempt, as what they correct is.
alter table transfers add constraint transfers_named check (
    case when kind in ('grant', 'adjustment', 'refund', 'trial', 'expiry', 'redemption', 'payment')
         then job is null and attempt is null and reference is not null
         else job is not null and attempt is not null and reference is null end) not valid;
alter table transfers drop constraint transfers_check1;

create table settled_checkpoints (
    job        uuid        not null,
    attempt    integer     not null,
    started_at timestamptz not null,
    primary key (job, attempt)
);
comment on table settled_checkpoints is 'Attempts whose usage row is what a checkpoint said; exact usage takes the row away.';
comment on column settled_checkpoints.started_at is 'Of the attempt, as in usage.';
