import type { Header } from "./framing.js";

/** The subprotocol of the host. */
export const NAME = "hassock.v1";

/** How many characters positions may have. */
const MOST = 4096;

/** How many they may have together with the token and whatever else the client knows. The host reads at most 16 KiB of a
 *  request, with whatever cookies there are, and refuses one that is longer each time. */
const MOST_IN_ALL = 12_288;

/** The subprotocols that a client offers: that of the host, what the client knows from before and its token, and those of the
 *  module. The positions are the most important first: as many as there is room for. `before` is what it knows of its last
 *  connection, and its token. */
export function offer(since: Iterable<[topic: string, position: string]>, protocols: string[], before: Header = {}): string[] {
  const known: Record<string, string> = {};
  let room = Math.min(MOST, MOST_IN_ALL - base64url(JSON.stringify(before)).length);
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
