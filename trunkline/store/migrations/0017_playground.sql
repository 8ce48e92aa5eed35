-- The playground's own keys (docs/adr/0013-console.md): one per user at the most. Its secret can be computed from the
-- pepper and the seed, so that every console knows it and nobody stores it.

alter table keys add column playground_seed bigint;
comment on column keys.playground_seed is 'Of a key of the playground, what its secret is derived from; null for any other key.';
create unique index keys_playground on keys (user_id) where playground_seed is not null;
