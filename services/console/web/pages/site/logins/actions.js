/**
 * What an operator can do with a login.
 */
import { api, at } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { confirm } from "../../../parts/dialog.js";
import { errorText } from "../../../parts/notice.js";
import { HeldKeys } from "../../../parts/held-keys.js";
import { toast } from "../../../parts/toast.js";

/**
 * @param {object} login
 * @param {{setDialog: (dialog: object) => void, done: (sentence: string) => void, link: (title: string, link: object) => void}} page
 * @returns items of a menu
 */
export function actionsOf(login, { setDialog, done, link }) {
  const path = at`logins/${login.name}`;
  const send = (verb, sentence) => async () => {
    try {
      await api.post(`${path}/${verb}`);
      done(sentence);
    } catch (error) {
      toast(errorText(error), "error");
    }
  };
  const asked = (key, work, { typed, text = t(`logins.${key}_text`) } = {}) => async () => {
    const agreed = await confirm({
      title: t(`logins.${key}_title`, { name: login.name }),
      text,
      action: t(`logins.${key}`),
      danger: true,
      typed,
      work,
    });
    if (agreed) done(t(`logins.${key}_done`, { name: login.name }));
  };
  // Keys are their accounts': whether they go with the person is asked.
  const keptOut = (key, work, options) => {
    const query = { withdraw_keys: null };
    const text = html`<p>${t(`logins.${key}_text`)}</p>
      <${HeldKeys} path=${`${path}/keys`} text=${t("logins.withdraw_text")} onChoose=${(withdraw) => (query.withdraw_keys = withdraw)} />`;
    return asked(key, () => work({ query }), { ...options, text });
  };
  const newLink = async () => {
    try {
      link(t("logins.link_of", { name: login.name }), await api.post(`${path}/link`));
    } catch (error) {
      toast(errorText(error), "error");
    }
  };
  const pending = ["waiting", "unconfirmed"].includes(login.state);
  return [
    pending && { label: t("logins.approve"), icon: "check", run: send("approve", t("logins.approved", { name: login.name })) },
    { label: t("logins.change"), icon: "edit", run: () => setDialog({ kind: "change", login }) },
    { label: t("logins.link"), icon: "external", run: newLink },
    login.totp && { label: t("logins.second_factor"), icon: "lock", run: asked("second_factor", () => api.post(`${path}/remove-second-factor`)) },
    login.sessions > 0 && { label: t("logins.end_sessions"), icon: "stop", run: asked("end_sessions", () => api.post(`${path}/end-sessions`)) },
    null,
    login.state === "blocked"
      ? { label: t("logins.unblock"), icon: "check", run: send("unblock", t("logins.unblocked", { name: login.name })) }
      : { label: t("logins.block"), icon: "stop", danger: true, run: keptOut("block", (query) => api.post(`${path}/block`, undefined, query)) },
    { label: t("logins.delete"), icon: "trash", danger: true, run: keptOut("delete", (query) => api.delete(path, query), { typed: login.name }) },
  ].filter((item) => item !== false);
}
