/** The address of a WebSocket: `/chat` on the page `https://example.org/` is `wss://example.org/chat`. Throws if it is none. */
export function absolute(url: string, base: string | undefined): string {
  const { href } = new URL(url, base);
  const address = href.replace(/^http/, "ws").replace(/#.*/, "");
  if (!/^wss?:/.test(address)) throw new TypeError(`${url} is not the address of a WebSocket`);
  return address;
}
