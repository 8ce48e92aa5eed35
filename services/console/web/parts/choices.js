/**
 * The menus of the bar at the top: account, language, theme, and who is signed in.
 */
import { html } from "../core/html.js";
import { api } from "../core/api.js";
import { useLocation, navigate } from "../core/router.js";
import { signOut, useAccount, useSession } from "../core/session.js";
import { THEMES, setTheme, useTheme } from "../core/theme.js";
import { LANGUAGES, setLanguage, t, useLanguage } from "../core/words.js";
import { Icon } from "./icon.js";
import { Menu } from "./menu.js";

const THEME_ICONS = { auto: "auto", light: "sun", dark: "moon" };

/** Changes the account, and stays on the same kind of page. */
export function AccountMenu() {
  const session = useSession();
  const account = useAccount();
  const { path } = useLocation();
  const page = /^\/a\/[^/]+\/(.+)$/.exec(path)?.[1] ?? "overview";
  if (!account && !session.login.operator) return null;
  const names = session.accounts.map((each) => each.name);
  const items = [
    ...[...new Set(account ? [account, ...names] : names)].sort().map((name) => ({
      label: name,
      note: roleNote(session, name),
      checked: name === account,
      run: () => navigate(`/a/${encodeURIComponent(name)}/${page}`),
    })),
    ...(session.login.operator ? [null, { label: t("nav.all_accounts"), icon: "building", href: "#/site/accounts" }] : []),
  ];
  const shown = html`<span class="account-name">${account ?? t("nav.no_account")}</span><${Icon} name="chevron" size=${16} />`;
  return html`<span class="account-menu"><${Menu} label=${t("nav.choose_account")} items=${items} button=${shown} align="start" /></span>`;
}

function roleNote(session, name) {
  const role = session.accounts.find((each) => each.name === name)?.role;
  return role && t(`common.role.${role}`);
}

/** @param {{words?: boolean}} props words: with the name of the language */
export function LanguageMenu({ words }) {
  const language = useLanguage();
  const session = useSession();
  const choose = async (chosen) => {
    await setLanguage(chosen);
    // Mails to this login are in its language, too. That one may not be reachable now changes nothing here.
    if (session) api.put("me/language", { language: chosen }, { quiet: true }).catch(() => {});
  };
  const items = Object.entries(LANGUAGES).map(([code, label]) => ({ label, lang: code, checked: code === language, run: () => choose(code) }));
  const shown = html`<${Icon} name="globe" />${words && html`<span>${LANGUAGES[language]}</span>`}`;
  return html`<${Menu} label=${t("nav.language")} items=${items} button=${shown} />`;
}

/** @param {{words?: boolean}} props */
export function ThemeMenu({ words }) {
  const theme = useTheme();
  const items = THEMES.map((each) => ({ label: t(`nav.theme.${each}`), checked: each === theme, run: () => setTheme(each) }));
  const shown = html`<${Icon} name=${THEME_ICONS[theme]} />${words && html`<span>${t(`nav.theme.${theme}`)}</span>`}`;
  return html`<${Menu} label=${t("nav.theme")} items=${items} button=${shown} />`;
}

export function UserMenu() {
  const { login } = useSession();
  const items = [
    { label: t("nav.me"), note: login.email ?? undefined, icon: "user", href: "#/me" },
    null,
    { label: t("nav.sign_out"), icon: "sign_out", run: signOut },
  ];
  const shown = html`<span class="avatar" aria-hidden="true">${[...login.name][0]?.toUpperCase()}</span><span class="user-name">${login.name}</span>`;
  return html`<${Menu} label=${t("nav.user_menu", { name: login.name })} items=${items} button=${shown} />`;
}
