// Who looks at the page: each viewer gets the state and the timeline as server-sent events (HTML standard, "Server-sent events").
import type { ServerResponse } from 'node:http';
import type { Timeline } from './timeline.ts';

/** How often it is looked whether the state has changed, for what nobody tells, milliseconds. */
const LOOK_EVERY_MS = 200;

/**
 * Streams `state()`, whenever it has changed, and each entry of the timeline to all viewers. `onPresence` gets whether anybody
 * looks.
 */
export function createViewers(
  timeline: Timeline,
  { state, onPresence }: { state: () => object; onPresence: (isAnybodyThere: boolean) => void },
) {
  const viewers = new Set<ServerResponse>();
  let sent = '';
  const send = (viewer: ServerResponse, name: string, data: string) =>
    void viewer.write(`event: ${name}\ndata: ${data}\n\n`);

  function sendState(): void {
    const now = JSON.stringify(state());
    if (now === sent) return;
    sent = now;
    for (const viewer of viewers) send(viewer, 'state', now);
  }
  timeline.onEntry((entry) => {
    for (const viewer of viewers) send(viewer, 'entry', JSON.stringify(entry));
  });
  const timer = setInterval(sendState, LOOK_EVERY_MS);

  return {
    /** Sends the state to all viewers where it has changed. */
    sendState,
    /** Makes a viewer of whoever gets this response. */
    add(response: ServerResponse, headers: Record<string, string>) {
      response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' });
      send(response, 'history', JSON.stringify(timeline.entries));
      send(response, 'state', JSON.stringify(state()));
      viewers.add(response);
      onPresence(true);
      response.once('close', () => {
        viewers.delete(response);
        onPresence(viewers.size > 0);
      });
    },
    close: () => clearInterval(timer),
  };
}
