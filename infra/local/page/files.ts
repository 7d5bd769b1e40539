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

interface PathItem {
  parameters?: object[];
  [method: string]: unknown;
}

/** Swagger UI does not resolve what a path's operations share, so each operation gets the parameters of its path. */
function withOwnParameters({ parameters = [], ...operations }: PathItem): object {
  const entries = Object.entries(operations as Record<string, { parameters?: object[] }>);
  const own = entries.map(([method, one]) => [
    method,
    { ...one, parameters: [...parameters, ...(one.parameters ?? [])] },
  ]);
  return Object.fromEntries(own);
}

/**
 * The OpenAPI description for this page: it is about the service here, and the page signs, so servers and signatures are left
 * out.
 */
export function readDescription(): object {
  const { paths, components, ...rest } = parse(readFileSync(DESCRIPTION, 'utf8'));
  const { securitySchemes: _, ...others } = components;
  const own = Object.entries<PathItem>(paths).map(([path, item]) => [path, withOwnParameters(item)]);
  return { ...rest, servers: [{ url: '/' }], security: [], paths: Object.fromEntries(own), components: others };
}
