// Text as HTML: everything that is put into a template is escaped, unless it was made by a template itself.
import { plain } from './terminal.ts';

/** Markup that was made by `html` or `join`. */
export class Html {
  readonly #markup: string;
  constructor(markup: string) {
    this.#markup = markup;
  }
  toString() {
    return this.#markup;
  }
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

const escaped = (value: Html | string | number): string =>
  value instanceof Html
    ? value.toString()
    : plain(value).replace(/[&<>"']/g, (character) => ENTITIES[character] as string);

/** A template literal whose values are escaped. */
export const html = (strings: TemplateStringsArray, ...values: (Html | string | number)[]): Html =>
  new Html(strings.map((text, index) => (index === 0 ? text : escaped(values[index - 1] as Html) + text)).join(''));

export const join = (parts: Html[]): Html => new Html(parts.join('\n'));

/** Markup that is ours: no text from elsewhere is passed to it. */
export const literal = (markup: string): Html => new Html(markup);
