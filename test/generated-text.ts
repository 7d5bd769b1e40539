// Generated text. The library's own arbitraries of all characters, and of a regular expression, take longer to be made than most
// properties take to be tried.
import fc from 'fast-check';

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/** Any code points, halves of surrogate pairs among them; `maxLength` counts code points. */
export const anyText = (maxLength: number): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 0, max: 0x10ffff }), { maxLength })
    .map((codePoints) => codePoints.map((one) => String.fromCodePoint(one)).join(''));

/** Letters and digits of ASCII, and the characters of `more`: at least one. */
export const wordOf = (maxLength: number, more = ''): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...LETTERS, ...more), minLength: 1, maxLength });
