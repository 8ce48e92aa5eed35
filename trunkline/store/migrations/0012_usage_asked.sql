-- Which model the client named, where a fallback or a cheaper one has answered (docs/fallbacks.md).

alter table usage add column asked text not null default '';
comment on column usage.asked is 'The model that the client named, where it is not `model`; else empty.';
