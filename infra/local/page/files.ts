// The files that the page is made of: its own, and those of Swagger UI. They are read at each request, so a change shows at once.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const OWN = fileURLToPath(new URL('browser/', import.meta.url));
const SWAGGER_UI = fileURLToPath(new URL('../../../node_modules/swagger-ui-dist/', import.meta.url));
const DESCRIPTION = fileURLToPath(new URL('../../contracts/openapi.yml', import.meta.url));
const OF_SWAGGER_UI = ['swagger-ui-bundle.js', 'swagger-ui.css'];
const TYPES: Record<string, string> = { html: 'text/html', css: 'text/css', js: 'text/javascript' };

/** A file by its name, with its content type; undefined where there is no such file. */
export function readPageFile(name: string): { type: string; body: Buffer } | undefined {
  const [, ending = ''] = /^[a-z-]+\.(html|css|js)$/.exec(name) ?? [];
  const type = TYPES[ending];
  const path = (OF_SWAGGER_UI.includes(name) ? SWAGGER_UI : OWN) + name;
  return type && existsSync(path) ? { type: `${type}; charset=utf-8`, body: readFileSync(path) } : undefined;
}

/**
 * The OpenAPI description for this page: it is about the service here, and the page signs, so servers and signatures are left
 * out.
 */
export function readDescription(): object {
  const description = parse(readFileSync(DESCRIPTION, 'utf8'));
  const { securitySchemes: _, ...components } = description.components;
  return { ...description, servers: [{ url: '/' }], security: [], components };
}
