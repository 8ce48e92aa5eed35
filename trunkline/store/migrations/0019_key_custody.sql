-- Who may lift a key's block, and who has been shown which secret (docs/operating/keys.md).

alter table keys add column blocked_by text not null default 'admin';
comment on column keys.blocked_by is
    'Who has set the block: a role in the account, or operator; nobody below lifts it. Without a block it says nothing.';

alter table key_secrets add column login_id bigint;
comment on column key_secrets.login_id is
    'Login that was shown the secret when it was drawn; null for the admin key, for one of a file or of the playground, and for what was drawn before this was noted.';
