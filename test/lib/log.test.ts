import { expect, test } from 'vitest';
import { describeError, hide, redact } from '../../lib/log.ts';

test('what is hidden, and what looks like a token or a private key, is blanked out', () => {
  hide('canary-secret-value');
  hide('with "quotes" and \n breaks');
  expect(redact('x canary-secret-value y')).toBe('x [hidden] y');
  expect(redact(JSON.stringify({ a: 'with "quotes" and \n breaks' }))).toBe('{"a":"[hidden]"}');
  expect(redact('Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl!')).toBe('Bearer [hidden]!');
  expect(redact('{"k":"-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----"}')).toBe('{"k":"[hidden]"}');
});

test('what is too short to be a secret is not hidden: it would blank out the log', () => {
  hide('');
  hide('a');
  expect(redact('a banana')).toBe('a banana');
});

test('an error is its names and messages, causes included, without what it carries', () => {
  const cause = Object.assign(new Error('refused eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln'), {
    code: 'ECONNREFUSED',
    config: { token: 'x' },
  });
  const described = describeError(new TypeError('outer', { cause }));
  expect(described).toMatchObject({
    name: 'TypeError',
    message: 'outer',
    cause: { message: 'refused [hidden]', code: 'ECONNREFUSED' },
  });
  expect(JSON.stringify(described)).not.toContain('config');
  expect(describeError('text that may be a secret')).toEqual({ message: 'string' });
});

test('a chain of causes that has no end is cut', () => {
  const loop = new Error('loop');
  loop.cause = loop;
  expect(JSON.stringify(describeError(loop)).length).toBeLessThan(3000);
});
