/**
 * All pages. A page's module is loaded when it is visited: `pages/<module>.js`, its default export a component that gets
 * `{params, query}`.
 *
 * path: after `#`, names in it begin with a colon. access: as `policy/access.py` calls it. title: key of its words.
 * group and icon: where it stands in the navigation; without a group it stands nowhere.
 */
const page = (path, module, access, title, group, icon) => ({ path, module, access, title, group, icon });

export const ROUTES = [
  page("/", "public/landing", "public", "nav.home"),
  page("/sign-in", "public/sign-in", "public", "nav.sign_in"),
  page("/sign-up", "public/sign-up", "public", "nav.sign_up"),
  page("/confirm/:token", "public/confirm", "public", "nav.confirm"),
  page("/set-password", "public/set-password", "public", "nav.set_password"),
  page("/set-password/:token", "public/set-password", "public", "nav.set_password"),
  page("/first/:token", "public/first", "public", "nav.first"),

  page("/a/:account/overview", "account/overview", "usage_read", "nav.overview", "account", "overview"),
  page("/a/:account/playground", "account/playground", "play", "nav.playground", "account", "play"),
  page("/a/:account/keys", "account/keys", "keys_read", "nav.keys", "account", "key"),
  page("/a/:account/models", "account/models", "account_read", "nav.models", "account", "model"),
  page("/a/:account/usage", "account/usage", "usage_read", "nav.usage", "account", "usage"),
  page("/a/:account/billing", "account/billing", "money_read", "nav.billing", "account", "wallet"),
  page("/a/:account/alerts", "account/alerts", "money_read", "nav.alerts", "account", "bell"),
  page("/a/:account/savings", "account/savings", "usage_read", "nav.savings", "account", "scale"),
  page("/a/:account/members", "account/members", "members_read", "nav.members", "account", "people"),

  page("/site/live", "site/live", "operator", "nav.live", "traffic", "pulse"),
  page("/site/usage", "site/usage", "operator", "nav.site_usage", "traffic", "usage"),
  page("/site/explain", "site/explain", "operator", "nav.explain", "traffic", "route"),
  page("/site/channels", "site/channels", "operator", "nav.channels", "supply", "channel"),
  page("/site/channels/:name", "site/channel", "operator", "nav.channel"),
  page("/site/models", "site/models", "operator", "nav.site_models", "supply", "model"),
  page("/site/groups", "site/groups", "operator", "nav.groups", "supply", "layers"),
  page("/site/tiers", "site/tiers", "operator", "nav.tiers", "supply", "stairs"),
  page("/site/accounts", "site/accounts", "operator", "nav.accounts", "customers", "building"),
  page("/site/accounts/:name", "site/account", "operator", "nav.account"),
  page("/site/logins", "site/logins", "operator", "nav.logins", "customers", "people"),
  page("/site/keys", "site/keys", "operator", "nav.site_keys", "customers", "key"),
  page("/site/ledger", "site/ledger", "operator", "nav.ledger", "finance", "book"),
  page("/site/payments", "site/payments", "operator", "nav.payments", "finance", "card"),
  page("/site/codes", "site/codes", "operator", "nav.codes", "finance", "ticket"),
  page("/site/announcements", "site/announcements", "operator", "nav.announcements", "operation", "megaphone"),
  page("/site/audit", "site/audit", "operator", "nav.audit", "operation", "shield"),
  page("/site/settings", "site/settings", "operator", "nav.settings", "operation", "sliders"),
  page("/site/apply", "site/apply", "operator", "nav.apply", "operation", "file"),
  page("/site/import", "site/import", "operator", "nav.import", "operation", "inbox"),

  page("/models", "public/models", "public", "nav.all_models", "public", "model"),
  page("/prices", "public/prices", "public", "nav.prices", "public", "tag"),
  page("/docs", "public/docs", "public", "nav.docs", "public", "help"),
  page("/docs/:page", "public/docs", "public", "nav.docs"),
  page("/me", "me/me", "signed_in", "nav.me"),
];

/** Groups of the navigation, in order; those but the first and the last are for operators. */
export const GROUPS = ["account", "traffic", "supply", "customers", "finance", "operation", "public"];
