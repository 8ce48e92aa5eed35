/**
 * The playground: a conversation with any model that the account can call, or with two side by side.
 */
import { api, at } from "../../core/api.js";
import { copy } from "../../core/clipboard.js";
import { money } from "../../core/format.js";
import { cx, html, useEffect, useMemo, useRef, useState } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { setQuery, to } from "../../core/router.js";
import { useSession } from "../../core/session.js";
import { chatCurl } from "../../core/snippets.js";
import { loadStyle } from "../../core/styles.js";
import { t, useLanguage } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { Menu } from "../../parts/menu.js";
import { Empty, Loaded } from "../../parts/notice.js";
import { PageHeader } from "../../parts/page.js";
import { Segments } from "../../parts/tabs.js";
import { toast } from "../../parts/toast.js";
import { Composer } from "./playground/composer.js";
import { SIDES_MAX, conversationOf } from "./playground/conversation.js";
import { costOf } from "./playground/figures.js";
import { ModelPicker } from "./playground/picker.js";
import { bodyOf } from "./playground/request.js";
import { Settings, settingsFault } from "./playground/settings.js";
import { Turn } from "./playground/turns.js";

await loadStyle("styles/playground.css");

const NEAR_PX = 120;

export default function Playground({ params: { account }, query }) {
  const square = useLoad((signal) => api.get(at`accounts/${account}/models`, {}, { signal }), [account]);
  return html`<${Loaded} of=${square} lines=${8}>
    ${(found) => html`<${Page} key=${account} account=${account} square=${found} wanted=${query.get("model")} prompt=${query.get("prompt")} />`}
  </${Loaded}>`;
}

function Page({ account, square, wanted, prompt }) {
  const { login } = useSession();
  const conversation = conversationOf(login.name, account);
  // Before the composer is there. Filled in and not sent: a link spends nobody's money.
  useMemo(() => prompt && (conversation.draft = prompt), [prompt]);
  const models = useMemo(() => square.models.filter((model) => model.kind === "chat"), [square]);
  conversation.models = useMemo(() => new Map(models.map((model) => [model.name, model])), [models]);
  const state = conversation.use();
  const [narrowSide, setNarrowSide] = useState(0);
  const [settingsOpen, setSettingsOpen] = useState(false);
  useEffect(() => choose(conversation, models, wanted), [wanted, models]);
  useEffect(() => prompt && setQuery({ prompt: null }), [prompt]);
  const chosen = state.sides.map((side) => conversation.models.get(side.model)).filter(Boolean);
  const busy = state.sides.some((side) => side.turns.some((turn) => isGrowing(turn)));
  const turns = useFollow();
  if (models.length === 0) return html`<${Nothing} account=${account} />`;
  return html`<div class=${cx("play", settingsOpen && "settings-open")}>
    <${PageHeader} title=${t("nav.playground")} actions=${html`<${Tools} ...${{ conversation, state, square, busy, settingsOpen, setSettingsOpen, models }} />`} />
    <div class="play-room">
      <div class="play-main">
        ${state.sides.length > 1 &&
        html`<div class="play-tabs">
          <${Segments} label=${t("playground.side")} value=${String(narrowSide)} options=${state.sides.map((side, place) => ({ value: String(place), label: side.model }))} onChange=${(value) => setNarrowSide(Number(value))} />
        </div>`}
        <div ref=${turns} class=${cx("play-sides", state.sides.length > 1 && "two")}>
          ${state.sides.map((side, place) => html`<${Side} key=${side.id} ...${{ side, place, conversation, models, account, count: state.sides.length, shown: place === Math.min(narrowSide, state.sides.length - 1) }} />`)}
        </div>
        <div class="play-dock">
          <${Composer}
            conversation=${conversation}
            busy=${busy}
            disabled=${chosen.length < state.sides.length}
            note=${settingsFault(state.settings, chosen)}
            imagesNote=${blind(chosen)}
          />
        </div>
      </div>
      <aside class="play-side-panel" aria-label=${t("playground.settings")}>
        <${Settings} conversation=${conversation} models=${chosen} />
      </aside>
    </div>
  </div>`;
}

const isGrowing = (turn) => turn.state === "waiting" || turn.state === "streaming";

/** The model that a link asks for, or the first one where none is chosen, or the chosen one is not offered any more. */
function choose(conversation, models, wanted) {
  const [first] = conversation.get().sides;
  if (wanted && models.some((model) => model.name === wanted)) {
    conversation.setModel(first.id, wanted);
    setQuery({ model: null });
  }
  for (const side of conversation.get().sides) {
    if (models.length && !models.some((model) => model.name === side.model)) conversation.setModel(side.id, models[0].name);
  }
}

/** Which of the models are known to see no pictures, in a sentence. */
function blind(chosen) {
  const names = chosen.filter((model) => model.capabilities_known && !model.capabilities.includes("vision")).map((model) => model.name);
  return names.length ? t("playground.blind", { models: names.join(", ") }) : null;
}

function Nothing({ account }) {
  const action = html`<${Button} href=${to`/a/${account}/models`}>${t("nav.models")}</${Button}>`;
  return html`<${PageHeader} title=${t("nav.playground")} /><${Empty} icon="play" title=${t("playground.nothing")} action=${action}>${t("playground.nothing_text")}</${Empty}>`;
}

/** The page stays at the end of an answer that grows, unless its reader has gone up. */
function useFollow() {
  const turns = useRef(null);
  useEffect(() => {
    let following = true;
    let last_px = scrollY;
    const scrolled = () => {
      if (scrollY + innerHeight > document.documentElement.scrollHeight - NEAR_PX) following = true;
      else if (scrollY < last_px) following = false;
      last_px = scrollY;
    };
    const grown = new ResizeObserver(() => {
      const begun = turns.current?.querySelector(".play-turn");
      if (following && begun) scrollTo(0, document.documentElement.scrollHeight);
    });
    addEventListener("scroll", scrolled, { passive: true });
    if (turns.current) grown.observe(turns.current);
    return () => {
      removeEventListener("scroll", scrolled);
      grown.disconnect();
    };
  }, []);
  return turns;
}

function Tools({ conversation, state, square, busy, settingsOpen, setSettingsOpen, models }) {
  const all = state.sides.flatMap((side) => side.turns);
  const spent = all.reduce((sum, turn) => sum + (costOf(turn) ?? 0), 0);
  const compare = () => conversation.compare(models.find((model) => model.name !== state.sides[0].model)?.name ?? state.sides[0].model);
  return html`
    ${spent > 0 && html`<span class="play-spent quiet" title=${money(spent, { exact: true })}>${t("playground.spent", { amount: money(spent) })}</span>`}
    ${state.sides.length < SIDES_MAX && html`<${Button} icon="columns" disabled=${busy} onClick=${compare}>${t("playground.compare")}</${Button}>`}
    <${Button} icon="sliders" class="play-settings-button" aria-expanded=${settingsOpen ? "true" : "false"} onClick=${() => setSettingsOpen(!settingsOpen)}>${t("playground.settings")}</${Button}>
    <${Menu} label=${t("playground.export")} kind="plain" items=${exportItems(conversation, square, all.length > 0)} />
    <${Button} icon="trash" disabled=${all.length === 0} onClick=${() => conversation.clear()}>${t("playground.clear")}</${Button}>`;
}

function exportItems(conversation, square, any) {
  const body = () => {
    const { settings, sides } = conversation.get();
    const [side] = sides;
    return bodyOf(settings, side.turns.filter((turn) => !isGrowing(turn)), side.model, conversation.models.get(side.model));
  };
  const put = async (text) => toast(t((await copy(text)) ? "common.copied" : "common.not_copied"), "info");
  return [
    { label: t("playground.as_curl"), icon: "copy", disabled: !any, run: () => put(chatCurl(square.base_url, body())) },
    { label: t("playground.as_json"), icon: "copy", disabled: !any, run: () => put(JSON.stringify(body(), null, 2)) },
    { label: t("playground.download"), icon: "download", disabled: !any, run: () => download(conversation.get()) },
  ];
}

function download(state) {
  const file = URL.createObjectURL(new Blob([JSON.stringify(state, null, 2)], { type: "application/json" }));
  const link = Object.assign(document.createElement("a"), { href: file, download: "conversation.json" });
  link.click();
  URL.revokeObjectURL(file);
}

function Side({ side, place, conversation, models, account, count, shown }) {
  const busy = side.turns.some((turn) => isGrowing(turn));
  const language = useLanguage();
  const label = count > 1 ? t("playground.model_number", { number: place + 1 }) : t("playground.model");
  return html`<section class=${cx("play-side", shown && "shown")} aria-label=${label}>
    <header class="play-side-head">
      <${ModelPicker} label=${label} models=${models} value=${side.model} onChange=${(model) => conversation.setModel(side.id, model)} />
      ${count > 1 && html`<${Button} kind="quiet" small icon="close" label=${t("playground.end_side", { model: side.model })} onClick=${() => conversation.endSide(side.id)} />`}
    </header>
    <div class="play-turns">
      ${side.turns.length === 0 && html`<${Start} />`}
      ${side.turns.map((turn, at) => html`<${Turn} key=${turn.id} ...${{ side, turn, conversation, busy, account, language }} last=${at === side.turns.length - 1} />`)}
    </div>
  </section>`;
}

function Start() {
  return html`<div class="play-start"><p class="empty-title">${t("playground.start")}</p><p class="quiet">${t("playground.start_text")}</p></div>`;
}
