/**
 * What can be done with a channel as a whole.
 */
import { api, at } from "../../../core/api.js";
import { to } from "../../../core/router.js";
import { t } from "../../../core/words.js";
import { confirm } from "../../../parts/dialog.js";
import { errorText } from "../../../parts/notice.js";
import { toast } from "../../../parts/toast.js";

/**
 * @param {object} channel
 * @param {{test: (channel: object) => void, done: (sentence: string) => void, gone?: () => void, own?: boolean}} page done: something is
 *   changed; gone: it is deleted; own: this is the channel's own page
 * @returns items of a menu
 */
export function actionsOf(channel, { test, done, gone = null, own = false }) {
  const path = at`channels/${channel.name}`;
  const name = channel.name;
  const send = (verb, sentence) => async () => {
    try {
      await api.post(`${path}/${verb}`);
      done(sentence);
    } catch (error) {
      toast(errorText(error), "error");
    }
  };
  const disable = async () => {
    const agreed = await confirm({
      title: t("channels.disable_title", { name }),
      text: t("channels.disable_text"),
      action: t("channels.disable"),
      danger: true,
      work: () => api.post(`${path}/disable`),
    });
    if (agreed) done(t("channels.is_disabled", { name }));
  };
  const remove = async () => {
    const agreed = await confirm({
      title: t("channels.delete_title", { name }),
      text: t("channels.delete_text"),
      action: t("channels.delete"),
      danger: true,
      typed: name,
      work: () => api.delete(path),
    });
    if (!agreed) return;
    if (gone) toast(t("channels.is_deleted", { name }));
    (gone ?? done)(t("channels.is_deleted", { name }));
  };
  return [
    !own && { label: t("channels.open"), icon: "edit", href: to`/site/channels/${name}` },
    !own && { label: t("channels.test"), icon: "pulse", run: () => test(channel) },
    channel.drained
      ? { label: t("channels.undrain"), icon: "play", run: send("undrain", t("channels.is_undrained", { name })) }
      : { label: t("channels.drain"), icon: "filter", note: t("channels.drain_note"), run: send("drain", t("channels.is_drained", { name })) },
    channel.enabled
      ? { label: t("channels.disable"), icon: "stop", note: t("channels.disable_note"), run: disable }
      : { label: t("channels.enable"), icon: "check", run: send("enable", t("channels.is_enabled", { name })) },
    null,
    { label: t("channels.delete"), icon: "trash", danger: true, run: remove },
  ].filter((item) => item !== false);
}
