import { ReconnectingClient } from "./client.js";
import { browser } from "./environment.js";
import { absolute } from "./url.js";
import type { Client, Options } from "./types.js";

/** Connect to an app, and again whenever the connection ends. The address may be that of a WebSocket, or a path such as `/chat`
 *  of the host of the page. A function is called before each attempt, for an address with a token that expires. */
export function connect(url: string | (() => string | Promise<string>), options: Options = {}): Client {
  const environment = browser(options.WebSocket);
  if (typeof url === "string") {
    // An address that is none is an error of the page, which should see it at once.
    const fixed = absolute(url, environment.base);
    return new ReconnectingClient(environment, () => fixed, options);
  }
  return new ReconnectingClient(environment, async () => absolute(await url(), environment.base), options);
}
