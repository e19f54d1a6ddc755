import type { Header } from "./framing.js";

/** The subprotocol of the host. */
export const NAME = "hassock.v1";

/** The host reads at most 16 KiB of a request, with whatever cookies there are. */
const MOST = 4096;

/** The subprotocols that a client offers: that of the host, what the client knows from before and its token, and those of the
 *  module. The positions are the most important first: as many as there is room for. `before` is what it knows of its last
 *  connection, and its token. */
export function offer(since: Iterable<[topic: string, position: string]>, protocols: string[], before: Header = {}): string[] {
  const known: Record<string, string> = {};
  let room = MOST;
  for (const [topic, position] of since) {
    // Base64 makes four characters of three bytes, and a character that is escaped has six.
    room -= Math.ceil((new TextEncoder().encode(JSON.stringify(topic)).length + position.length + 4) * (4 / 3));
    if (room < 0) break;
    known[topic] = position;
  }
  const state = { since: Object.keys(known).length ? known : undefined, ...before };
  const json = JSON.stringify(state);
  return [NAME, ...(json === "{}" ? [] : [`${NAME}.${base64url(json)}`]), ...protocols];
}

function base64url(text: string): string {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}
