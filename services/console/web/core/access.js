/**
 * What a role may do, as trunkline/policy/access.py says; a test compares the two. The page only hides by it what the
 * server would refuse.
 */
const READER = {
  account_read: "all",
  keys_read: "all",
  usage_read: "all",
  money_read: "all",
  members_read: "all",
};
const ADMIN = { ...READER, keys_write: "all", play: "all", money_write: "all", members_write: "all" };

/** By role, from the least to the most. */
export const ROLES = {
  viewer: READER,
  member: { account_read: "all", keys_read: "own", keys_write: "own", usage_read: "own", play: "own" },
  admin: ADMIN,
  owner: { ...ADMIN, account_write: "all" },
};

/** Who somebody is to an account, from the least to the most. */
export const STANDINGS = [...Object.keys(ROLES), "operator"];

/**
 * Whether a session stands no lower in an account than somebody else: what they have blocked, nobody below unblocks.
 * @param {object|null} session of core/session.js
 * @param {string} account
 * @param {string|null} standing of somebody else; null for nobody
 * @returns {boolean}
 */
export function reaches(session, account, standing) {
  const own = session?.login.operator ? "operator" : session?.accounts.find((each) => each.name === account)?.role;
  return STANDINGS.indexOf(own) >= STANDINGS.indexOf(standing);
}

/**
 * How far a session's access reaches.
 * @param {object|null} session of core/session.js
 * @param {string} access such as `keys_write`, `signed_in`, `operator`, `public`
 * @param {string|null} [account]
 * @returns {"all"|"own"|null} null: not at all
 */
export function scopeOf(session, access, account = null) {
  if (access === "public") return "all";
  if (!session) return null;
  if (access === "signed_in" || session.login.operator) return "all";
  const place = session.accounts.find((each) => each.name === account);
  return (place && ROLES[place.role]?.[access]) ?? null;
}
