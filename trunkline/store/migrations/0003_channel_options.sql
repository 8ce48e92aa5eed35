alter table channels add column options jsonb not null default '{}';
comment on column channels.options is 'What the provider needs beside its dialect: protocol.vendor.VendorOptions.';
