-- Answers that broke off and were gone on with by another channel (docs/adr/0012-continuation.md).

alter table usage add column continues boolean not null default false,
                  add column joined_output bigint not null default 0;
comment on column usage.continues is 'It went on with the answer of an earlier attempt of the job, which is charged for both.';
comment on column usage.joined_output is 'Tokens of output of those that went on with this one: in its charge, not in its cost.';
