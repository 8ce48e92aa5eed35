/**
 * The dialogs that add people to an account, and that change their roles.
 */
import { api, at } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Dialog } from "../../../parts/dialog.js";
import { SelectField, TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";

/** From the least to the most. */
export const ROLES = ["viewer", "member", "admin", "owner"];

const options = (roles) => roles.map((role) => ({ value: role, label: t(`common.role.${role}`) }));

function RoleField({ form, roles }) {
  return html`<${SelectField} form=${form} name="role" label=${t("members.role")} help=${t(`members.role.${form.get("role")}`)} options=${options(roles)} required />`;
}

/** @param {{account: string, roles: string[], users: object[], onDone: () => void, onClose: () => void}} props roles: those one may give */
export function AddMember({ account, roles, users, onDone, onClose }) {
  const free = users.filter((user) => !user.login);
  const form = useForm({ login: "", role: "member", user: null }, {
    submit: async ({ login, role, user }) => {
      await api.post(at`accounts/${account}/members`, { login: login.trim(), role, ...(user && { user }) });
      onDone();
    },
  });
  return html`<${Dialog} title=${t("members.add")} onClose=${onClose}>
    <${Form} form=${form} submit=${t("members.add")} onCancel=${onClose}>
      <${TextField} form=${form} name="login" label=${t("members.login")} help=${t("members.login_help")} autocapitalize="none" required autofocus />
      <${RoleField} form=${form} roles=${roles} />
      ${free.length > 0 &&
      html`<${SelectField} form=${form} name="user" label=${t("members.as_user")} help=${t("members.as_user_help")} empty=${t("members.as_new_user")} options=${free.map((user) => ({ value: user.name, label: user.name }))} />`}
    </${Form}>
  </${Dialog}>`;
}

/** @param {{account: string, user: object, roles: string[], onDone: () => void, onClose: () => void}} props */
export function ChangeRole({ account, user, roles, onDone, onClose }) {
  const form = useForm({ role: user.role }, {
    submit: async ({ role }) => {
      await api.patch(at`accounts/${account}/members/${user.name}`, { role });
      onDone();
    },
  });
  return html`<${Dialog} title=${t("members.change_role_of", { name: user.login })} onClose=${onClose}>
    <${Form} form=${form} submit=${t("common.save")} onCancel=${onClose}>
      <${RoleField} form=${form} roles=${roles} />
    </${Form}>
  </${Dialog}>`;
}

/** @param {{account: string, onDone: () => void, onClose: () => void}} props */
export function NewUser({ account, onDone, onClose }) {
  const form = useForm({ name: "" }, {
    submit: async ({ name }) => {
      await api.post(at`accounts/${account}/users`, { name });
      onDone();
    },
  });
  return html`<${Dialog} title=${t("members.new_user")} onClose=${onClose}>
    <p class="quiet">${t("members.new_user_text")}</p>
    <${Form} form=${form} submit=${t("members.new_user")} onCancel=${onClose}>
      <${TextField} form=${form} name="name" label=${t("members.user")} required autofocus />
    </${Form}>
  </${Dialog}>`;
}
