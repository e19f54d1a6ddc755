/** The world around a client: a browser, or a test. */
export interface Environment {
  WebSocket: new (url: string, protocols: string[]) => WebSocket;
  /** The address of the page. */
  base: string | undefined;
  /** Milliseconds. */
  now(): number;
  /** At least 0, and less than 1. */
  random(): number;
  /** Call a function after so many milliseconds, unless the function that this returns is called first. */
  after(delay: number, call: () => void): () => void;
  /** Call a function whenever a connection may have become possible, until the function that this returns is called. */
  onWake(call: () => void): () => void;
}

/** A browser. Node has no page, and before version 22 no WebSocket. */
export function browser(socket: Environment["WebSocket"] | undefined): Environment {
  return {
    WebSocket: socket ?? WebSocket,
    base: globalThis.location?.href,
    now: Date.now,
    random: Math.random,
    after(delay, call) {
      const timer = setTimeout(call, delay);
      return () => clearTimeout(timer);
    },
    onWake,
  };
}

function onWake(call: () => void): () => void {
  const page = globalThis.document as Document | undefined;
  const whenSeen = () => {
    if (page?.visibilityState === "visible") call();
  };
  globalThis.addEventListener?.("online", call);
  page?.addEventListener("visibilitychange", whenSeen);
  return () => {
    globalThis.removeEventListener?.("online", call);
    page?.removeEventListener("visibilitychange", whenSeen);
  };
}
