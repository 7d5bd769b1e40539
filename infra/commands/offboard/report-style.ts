import { literal } from './html.ts';

/** The look of the report: light, for paper too. All text has a contrast of at least 7 to its background. */
export const STYLE = literal(`
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; background: #fff; color: #1a1a1a; font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2rem 0 .75rem; border-bottom: 2px solid #1a1a1a; }
h3 { font-size: 1.05rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; background: #fff; padding: .5rem; }
a { color: #0b3d91; }
a:focus-visible { outline: 3px solid #0b3d91; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.warning { border-left: 4px solid #8a1f11; padding-left: .75rem; font-weight: 600; }
article { border: 1px solid #767676; border-radius: 4px; padding: 1rem; margin: 0 0 1rem; }
dl { margin: 0 0 .75rem; }
dl div { display: grid; grid-template-columns: 9rem 1fr; gap: .5rem; }
dt { color: #4a4a4a; }
dd { margin: 0; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; margin: .5rem 0; table-layout: fixed; }
caption { text-align: left; font-weight: 600; padding: .25rem 0; }
th, td { border: 1px solid #767676; padding: .3rem .5rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; font-weight: 400; }
thead th { background: #eee; font-weight: 600; }
.totals { width: auto; min-width: 20rem; table-layout: auto; }
.totals td { text-align: right; }
code { font-size: .85rem; }
svg { width: 100%; height: auto; }
.ended { fill: #0b3d91; } .cancelled { fill: #b35900; } .axis { stroke: #4a4a4a; }
svg text { fill: #1a1a1a; font: 11px system-ui, sans-serif; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  article, tr, svg { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .skip { display: none; }
}
`);
