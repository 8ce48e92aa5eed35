/**
 * Where one writes: text, and pictures that are pasted, dropped or chosen.
 */
import { cx, html, useEffect, useLayoutEffect, useRef, useState } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { toast } from "../../../parts/toast.js";
import { ACCEPTED, IMAGES_MAX, picturesOf, read } from "./images.js";

const HEIGHT_PX_MAX = 320;

/**
 * @param {{conversation: any, busy: boolean, disabled: boolean, note?: string, imagesNote?: string}} props
 *   note: what is wrong with what would be sent, in a sentence; imagesNote: with its pictures
 */
export function Composer({ conversation, busy, disabled, note, imagesNote }) {
  const [text, setText] = useState(conversation.draft);
  const [images, setImages] = useState([]);
  const [over, setOver] = useState(false);
  const area = useRef(null);
  const chooser = useRef(null);
  useEffect(() => {
    // On a phone the keyboard would cover half of the page before anybody has asked for it.
    if (matchMedia("(pointer: fine)").matches) area.current.focus({ preventScroll: true });
  }, []);
  useLayoutEffect(() => {
    area.current.style.height = "auto";
    area.current.style.height = `${Math.min(area.current.scrollHeight, HEIGHT_PX_MAX)}px`;
  }, [text]);

  const write = (value) => {
    // It is still there after a look at another page.
    conversation.draft = value;
    setText(value);
  };
  const add = async (files) => {
    for (const file of files.slice(0, IMAGES_MAX - images.length)) {
      try {
        const image = await read(file);
        setImages((before) => [...before, image].slice(0, IMAGES_MAX));
      } catch {
        toast(t("playground.no_picture", { name: file.name }), "error");
      }
    }
    if (files.length > IMAGES_MAX - images.length) toast(t("playground.pictures_max", { count: IMAGES_MAX }), "info");
  };
  const can = !busy && !disabled && !note && (text.trim() || images.length > 0);
  const send = () => {
    if (!can) return;
    conversation.say(text, images);
    write("");
    setImages([]);
  };
  const key = (event) => {
    // The Enter that chooses a Chinese word is not one that sends.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  const paste = (event) => {
    const found = picturesOf(event.clipboardData.files);
    if (!found.length) return;
    event.preventDefault();
    add(found);
  };
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    add(picturesOf(event.dataTransfer.files));
  };
  return html`<form
    class=${cx("play-composer", over && "over")}
    onSubmit=${(event) => {
      event.preventDefault();
      send();
    }}
    onDragOver=${(event) => {
      event.preventDefault();
      setOver(true);
    }}
    onDragLeave=${() => setOver(false)}
    onDrop=${drop}
  >
    ${images.length > 0 &&
    html`<div class="play-pictures">
      ${images.map(
        (image, at) => html`<span key=${at} class="play-picture">
          <img src=${image.url} alt=${image.name} />
          <${Button} small icon="close" label=${t("common.remove", { name: image.name })} onClick=${() => setImages(images.filter((_, place) => place !== at))} />
        </span>`,
      )}
    </div>`}
    ${images.length > 0 && imagesNote && html`<p class="play-composer-note warn">${imagesNote}</p>`}
    ${note && html`<p class="play-composer-note warn">${note}</p>`}
    <textarea ref=${area} rows="1" aria-label=${t("playground.message")} placeholder=${t("playground.message")} value=${text} onInput=${(event) => write(event.target.value)} onKeyDown=${key} onPaste=${paste}></textarea>
    <div class="play-composer-foot">
      <input ref=${chooser} type="file" accept=${ACCEPTED} multiple hidden onChange=${(event) => add(picturesOf(event.target.files)).then(() => (chooser.current.value = ""))} />
      <${Button} kind="quiet" icon="image" label=${t("playground.add_pictures")} onClick=${() => chooser.current.click()} />
      <span class="grow quiet play-keys">${t("playground.keys")}</span>
      ${busy
        ? html`<${Button} icon="stop" onClick=${() => conversation.stop()}>${t("playground.stop")}</${Button}>`
        : html`<${Button} type="submit" kind="primary" icon="send" disabled=${!can} onClick=${undefined}>${t("playground.send")}</${Button}>`}
    </div>
  </form>`;
}
