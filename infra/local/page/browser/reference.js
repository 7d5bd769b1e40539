// The API reference, by Swagger UI. Its calls go through the page's server, which signs them.
/* global SwaggerUIBundle */

const CURL_OPTIONS = ['--user local:local', '--aws-sigv4 "aws:amz:us-east-1:execute-api"'];

/** Operations alone: the page has its own headings, and Swagger UI's other parts would be a second `main`. */
const layout = ({ React }) => ({
  components: {
    PageLayout: ({ getComponent }) =>
      React.createElement('div', { className: 'swagger-ui' }, React.createElement(getComponent('operations', true))),
  },
});

/** The curl line shows the request to the API, with the options that sign it where signatures are checked. */
const curlOptions = (signed) => () => ({
  statePlugins: {
    spec: {
      wrapActions: {
        setRequest: (original) => (path, method, request) =>
          original(path, method, signed ? { ...request, curlOptions: CURL_OPTIONS } : request),
      },
    },
  },
});

/** Swagger UI leaves some controls without a name, and a screen reader's user without a clue. */
function nameControls(root) {
  for (const control of root.querySelectorAll('select, textarea, input')) {
    if (control.labels?.length || control.hasAttribute('aria-label')) continue;
    const row = control.closest('tr[data-param-name]')?.dataset.paramName;
    const name = row ?? (control.tagName === 'TEXTAREA' ? 'Request body' : undefined);
    control.setAttribute('aria-label', name ?? (control.closest('.examples-select') ? 'Example' : 'Media type'));
  }
  for (const region of root.querySelectorAll('[role="region"]:not([aria-label])'))
    region.setAttribute('aria-label', `Responses: ${region.id}`);
  for (const region of root.querySelectorAll('.microlight:not([tabindex]), .highlight-code > pre:not([tabindex])'))
    region.setAttribute('tabindex', '0');
}

/** Swagger UI has its dark colours under a class. */
function followColours() {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const set = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
  dark.onchange = set;
  set();
}

/** Makes the reference of the description; `signed` says whether the service checks signatures. */
export function showReference(signed) {
  const root = document.querySelector('#swagger');
  followColours();
  new MutationObserver(() => nameControls(root)).observe(root, { childList: true, subtree: true });
  SwaggerUIBundle({
    url: '/_page/openapi.json',
    dom_id: '#swagger',
    layout: 'PageLayout',
    plugins: [layout, curlOptions(signed)],
    docExpansion: 'list',
    tryItOutEnabled: true,
    defaultModelsExpandDepth: -1,
    validatorUrl: null,
    // Its colours are too faint.
    syntaxHighlight: false,
    showMutatedRequest: false,
    requestInterceptor(request) {
      const { origin } = window.location;
      if (!request.loadSpec) request.url = request.url.replace(origin, `${origin}/_page/call`);
      return request;
    },
  });
}
