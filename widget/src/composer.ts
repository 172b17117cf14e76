/** Where a message is written, and images are put. */

import { ICONS, el, icon, iconButton } from './dom';
import { fill, type Words } from './i18n';
import { MOST, among, shrink, type Picture } from './images';

const LONGEST = 10_000;

export class Composer {
  readonly node: HTMLFormElement;
  readonly field: HTMLTextAreaElement;
  readonly #tray = el('div.tray', {});
  readonly #note = el('p.hint', { role: 'status' });
  readonly #button: HTMLButtonElement;
  #pictures: Picture[] = [];
  #problem = '';

  constructor(
    private readonly words: Words,
    private readonly send: (text: string, pictures: Picture[]) => void,
  ) {
    const field = el('textarea', { rows: 1, placeholder: words.placeholder, enterKeyHint: 'send', ariaLabel: words.message });
    field.oninput = () => this.#weigh();
    field.onkeydown = (event) => {
      // While a word is being composed Enter belongs to the input method.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    };
    field.onpaste = (event) => {
      const files = among(event.clipboardData);
      if (!files.length) return;
      event.preventDefault();
      void this.take(files);
    };
    this.field = field;
    this.#button = el('button.send', { type: 'submit', disabled: true, title: words.send, ariaLabel: words.send }, icon(ICONS.send));
    const picker = el('input', { type: 'file', accept: 'image/*', multiple: true, hidden: true, ariaLabel: words.attach });
    picker.onchange = () => {
      void this.take([...(picker.files ?? [])]);
      picker.value = '';
    };
    const attach = iconButton('attach', ICONS.attach, words.attach, () => picker.click());
    this.node = el('form.composer', {}, this.#tray, el('div.box', {}, attach, picker, field, this.#button), this.#note);
    this.node.onsubmit = (event) => {
      event.preventDefault();
      this.#submit();
    };
  }

  /** Adds images, from wherever they come. */
  async take(files: File[]): Promise<void> {
    this.#problem = '';
    for (const file of files) {
      if (this.#pictures.length >= MOST) {
        this.#problem = fill(this.words.tooManyImages, { n: MOST });
        break;
      }
      const picture = await shrink(file);
      if (picture) this.#pictures.push(picture);
      else this.#problem = this.words.badImage;
    }
    this.#show();
    if (this.#problem) this.#note.textContent = this.#problem;
  }

  #show(): void {
    const items = this.#pictures.map(({ canvas }, at) => {
      const n = at + 1;
      Object.assign(canvas, { role: 'img', ariaLabel: fill(this.words.image, { n }) });
      const remove = iconButton('remove', ICONS.close, fill(this.words.removeImage, { n }), () => {
        this.#pictures.splice(at, 1);
        this.#show();
        this.field.focus();
      });
      return el('span.picture', {}, canvas, remove);
    });
    this.#tray.replaceChildren(...items);
    this.#weigh();
  }

  #weigh(): void {
    const { field } = this;
    // An empty field has no words to go by: its placeholder is in the language of the rest.
    field.dir = field.value ? 'auto' : '';
    field.style.height = 'auto';
    field.style.height = `${Math.min(field.scrollHeight, 140)}px`;
    // Counted as the server counts: in code points.
    const over = field.value.length > LONGEST ? [...field.value].length - LONGEST : 0;
    if (over > 0) this.#note.textContent = fill(this.words.tooLong, { n: over });
    // A message needs words: an image alone says nothing that can be answered.
    else if (this.#pictures.length && !field.value.trim()) this.#note.textContent = this.words.addWords;
    else if (!this.#problem) this.#note.textContent = '';
    this.#button.disabled = !field.value.trim() || over > 0;
  }

  #submit(): void {
    if (this.#button.disabled) return;
    this.send(this.field.value, this.#pictures);
    this.field.value = '';
    this.#pictures = [];
    this.#problem = '';
    this.#show();
    this.field.focus();
  }
}
