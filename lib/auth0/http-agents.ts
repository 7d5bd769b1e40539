import * as http from 'node:http';
import * as https from 'node:https';
import { isIP, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';

/**
 * An idle connection is not used again after this long, milliseconds. A container may be frozen for hours between two requests, and
 * whoever is at the other end has long closed the connection then: a write on it would have an unknown outcome.
 */
const IDLE_MS = 20_000;

/** Bounded, so that a burst of requests in one container cannot exhaust its file descriptors; the rest queue inside the agent. */
const AGENT_OPTIONS = { keepAlive: true, maxSockets: 64, maxFreeSockets: 64, timeout: IDLE_MS };

/** Sockets that were connected, and their peers trusted. */
const connected = new WeakSet<Socket>();
/** A connection that was opened before there was a request for it; the first request to the same place takes it. */
let opened: { socket: Socket; host: string; port: number } | undefined;

/** The connection to this place that was opened before, where it is still good. */
function takeOpened({ host, port }: http.ClientRequestArgs): Socket | undefined {
  if (opened?.host !== host || opened?.port !== Number(port)) return undefined;
  const { socket } = opened;
  opened = undefined;
  return socket.readable ? socket.setTimeout(0).ref() : undefined;
}

/** An agent, and its function for new connections, which from now on looks for the one that was opened before. */
function withOpened<A extends http.Agent>(agent: A) {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => takeOpened(options) ?? connect(options, callback);
  return { agent, connect };
}
const plain = { request: http.request, ...withOpened(new http.Agent(AGENT_OPTIONS)) };
const secure = { request: https.request, ...withOpened(new https.Agent(AGENT_OPTIONS)) };

/** How requests to `origin` are sent. */
export const transportOf = ({ protocol }: URL) => (protocol === 'https:' ? secure : plain);

/** Where a socket to `origin` goes: an IPv6 host stands in brackets in a URL, and without them in a socket's address. */
export const addressOf = ({ hostname, port }: URL) => ({
  host: hostname.replace(/^\[|\]$/g, ''),
  port: port || undefined,
});

/**
 * Opens the connection to `origin` that the first request takes; nothing is sent. Resolves when it is open or cannot be opened;
 * never rejects. One that nobody takes is closed when it has been idle.
 */
export async function openConnection(origin: URL): Promise<void> {
  const { host, port = origin.protocol === 'https:' ? 443 : 80 } = addressOf(origin);
  const place = { host, port: Number(port) };
  // As an agent itself asks for one.
  const options = { ...place, servername: isIP(host) ? '' : host, keepAlive: true, noDelay: true };
  const socket = transportOf(origin).connect(options) as Socket;
  opened = { ...place, socket };
  socket.on('error', () => {});
  socket.setTimeout(IDLE_MS, () => opened?.socket === socket && socket.destroy());
  await new Promise<void>((resolve) => {
    whenConnected(socket, resolve);
    socket.once('close', () => resolve());
  });
  // Open and unused, it keeps no process alive; until here it does, for somebody awaits it.
  if (opened?.socket === socket) socket.unref();
}

/** When a connection was last made use of, Unix milliseconds. */
let lastUsed = 0;
/** Between two requests that are this close, milliseconds, the process was hardly frozen. */
const CLOSE_MS = 500;

/**
 * To be awaited before a request. Of a connection that the peer has closed while the process was frozen, the process learns in the
 * same turn of the event loop in which it gets its next event; after two more turns such a connection is gone.
 */
export async function noticeClosed(): Promise<void> {
  const wasIdle = Date.now() - lastUsed > CLOSE_MS;
  lastUsed = Date.now();
  for (let turns = 0; wasIdle && turns < 2; turns++) await setImmediate();
}

/** Calls `then` once the request's socket is connected, and its peer trusted, as long as the request is not given up. */
export function onceConnected(outgoing: http.ClientRequest, then: () => void): void {
  outgoing.once('socket', (socket) => {
    whenConnected(socket, () => {
      if (!outgoing.destroyed) then();
    });
  });
}

function whenConnected(socket: Socket, then: () => void): void {
  const isConnected = () => {
    connected.add(socket);
    then();
  };
  // A socket that was used before says nothing of it again.
  if (connected.has(socket)) isConnected();
  else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', isConnected);
}
