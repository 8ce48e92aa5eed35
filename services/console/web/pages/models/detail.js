/**
 * All of a model: prices by group, dialects, parameters, how it fares, and how it is called.
 */
import { count, duration } from "../../core/format.js";
import { html, useState } from "../../core/html.js";
import { to } from "../../core/router.js";
import { useScope } from "../../core/session.js";
import { LANGUAGES, besideSnippet, snippet } from "../../core/snippets.js";
import { t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { CodeBlock, CopyText } from "../../parts/code.js";
import { Dialog } from "../../parts/dialog.js";
import { Definitions } from "../../parts/page.js";
import { Segments } from "../../parts/tabs.js";
import { Abilities, Level, uptime } from "./card.js";
import { kindName, kindsOf, price } from "./prices.js";

const PPM = 1_000_000;

/**
 * @param {{model: any, baseUrl: string, account: string|null, onClose: () => void}} props account: whose square it is; null: the public one
 */
export function ModelDetail({ model, baseUrl, account, onClose }) {
  const plays = useScope("play", account) && model.kind === "chat";
  const makes = useScope("keys_write", account);
  const footer =
    account &&
    (plays || makes) &&
    html`${plays && html`<${Button} kind="primary" icon="play" href=${`${to`/a/${account}/playground`}?model=${encodeURIComponent(model.name)}`}>${t("models.try")}</${Button}>`}
      ${makes && html`<${Button} icon="key" href=${to`/a/${account}/keys`}>${t("models.make_key")}</${Button}>`}`;
  return html`<${Dialog} title=${model.name} side onClose=${onClose} footer=${footer}>
    <div class="row"><${CopyText} text=${model.name} /><${Level} level=${model.live.level} /></div>
    <div><${Abilities} model=${model} /></div>
    <${Facts} model=${model} />
    <${Prices} model=${model} />
    <${Snippets} model=${model} baseUrl=${baseUrl} />
    ${model.kind === "chat" && html`<${Dialects} model=${model} />`}
    ${model.parameters.length > 0 && html`<${Parameters} model=${model} />`}
  </${Dialog}>`;
}

function Facts({ model }) {
  const { live } = model;
  return html`<${Definitions}
    columns
    items=${[
      [t("models.owned_by"), model.owned_by],
      [t("models.context"), model.context_tokens && t("models.tokens", { count: model.context_tokens })],
      [t("models.output_max"), model.output_tokens_max && t("models.tokens", { count: model.output_tokens_max })],
      [t("models.first_token"), live.first_token_ms !== null ? duration(live.first_token_ms) : null],
      [t("models.speed"), live.tokens_per_s !== null ? t("models.per_s", { number: count(live.tokens_per_s) }) : null],
      [t("models.uptime_day"), uptime(live.day_uptime_ppm)],
      [t("models.uptime_month"), uptime(live.month_uptime_ppm)],
    ]}
  />`;
}

function Prices({ model }) {
  if (model.free) return html`<section class="model-part"><h3>${t("models.prices")}</h3><p>${t("models.free")}</p></section>`;
  const kinds = kindsOf(Object.assign({}, ...model.groups.map((group) => group.prices)));
  return html`<section class="model-part">
    <h3>${t("models.prices")}</h3>
    <div class="scrolling" tabindex="0" role="region" aria-label=${t("models.prices")}>
      <table class="model-prices">
        <thead>
          <tr>
            <th scope="col">${t("models.unit")}</th>
            ${model.groups.map((group) => html`<th scope="col" class="end" key=${group.name}>${group.name}${group.multiplier_ppm !== PPM && html` <small class="quiet">×${group.multiplier_ppm / PPM}</small>`}</th>`)}
            ${model.list_prices && html`<th scope="col" class="end quiet">${t("models.list_price")}</th>`}
          </tr>
        </thead>
        <tbody>
          ${kinds.map(
            (kind) => html`<tr key=${kind}>
              <th scope="row">${kindName(kind)}</th>
              ${model.groups.map((group) => html`<td class="end" key=${group.name}>${group.prices[kind] === undefined ? "–" : price(kind, group.prices[kind])}</td>`)}
              ${model.list_prices && html`<td class="end quiet">${model.list_prices[kind] === undefined ? "–" : price(kind, model.list_prices[kind])}</td>`}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

function Dialects({ model }) {
  return html`<section class="model-part">
    <h3>${t("models.dialects")}</h3>
    <p class="quiet">${t("models.dialects_help")}</p>
    <ul class="model-dialects">
      ${model.dialects.map((use) => html`<li key=${use.name}><span>${t(`models.dialect.${use.name}`)}</span> <span class=${use.native ? "good" : "quiet"}>${t(use.native ? "models.native" : "models.translated")}</span></li>`)}
    </ul>
  </section>`;
}

function fate({ accepted, everywhere, refused, min, max }) {
  if (refused) return t("models.parameter.refused");
  if (!accepted) return t("models.parameter.left_out");
  const bounds = min !== undefined && max !== undefined ? t("models.parameter.between", { min, max }) : min !== undefined ? t("models.parameter.at_least", { min }) : max !== undefined ? t("models.parameter.at_most", { max }) : "";
  return [bounds, !everywhere && t("models.parameter.partly")].filter(Boolean).join("; ");
}

function Parameters({ model }) {
  return html`<section class="model-part">
    <h3>${t("models.parameters")}</h3>
    <p class="quiet">${t("models.parameters_help")}</p>
    <${Definitions} items=${model.parameters.map((each) => [each.name, fate(each)])} />
  </section>`;
}

function Snippets({ model, baseUrl }) {
  const [language, setLanguage] = useState("curl");
  const [dialect, setDialect] = useState("openai-chat");
  const talks = model.kind === "chat";
  const options = model.dialects.map((use) => ({ value: use.name, label: t(`models.dialect.${use.name}`) }));
  return html`<section class="model-part">
    <h3>${t("models.call")}</h3>
    ${talks &&
    html`<div class="row">
      <${Segments} label=${t("models.dialect")} value=${dialect} options=${options} onChange=${setDialect} />
      <${Segments} label=${t("models.language")} value=${language} options=${Object.entries(LANGUAGES).map(([value, label]) => ({ value, label }))} onChange=${setLanguage} />
    </div>`}
    <${CodeBlock} title=${talks ? LANGUAGES[language] : "curl"} text=${talks ? snippet(language, dialect, baseUrl, model.name) : besideSnippet(model.kind, baseUrl, model.name)} />
    <p class="quiet">${t("models.key_help")}</p>
  </section>`;
}
