/** The world around a client: a browser, or a test. */
export interface Environment {
  WebSocket: new (url: string, protocols: string[]) => WebSocket;
  /** The address of the page. */
  base: string | undefined;
  /** Milliseconds. They never go back. */
  now(): number;
  /** At least 0, and less than 1. */
  random(): number;
  /** Call a function after so many milliseconds, unless the function that this returns is called first. After `Infinity` it is
   *  never called. */
  after(delay: number, call: () => void): () => void;
  /** Call a function whenever a connection may have become possible, until the function that this returns is called. */
  onWake(call: () => void): () => void;
}

/** The longest time of a timer of a browser, which calls at once after a longer one. */
const LONGEST = 2 ** 31 - 1;

/** A browser. Node has no page, and before version 22 no WebSocket. */
export function browser(socket: Environment["WebSocket"] | undefined): Environment {
  return {
    WebSocket: socket ?? WebSocket,
    base: globalThis.location?.href,
    now: clock(),
    random: Math.random,
    after(delay, call) {
      const timer = delay === Infinity ? undefined : setTimeout(call, Math.min(delay, LONGEST));
      return () => clearTimeout(timer);
    },
    onWake,
  };
}

/** The clock of the computer, which goes on from where it was if somebody sets it back. `performance.now` stands still in some
 *  browsers while the computer sleeps, and then a connection that is long gone would count as a good one. */
function clock(): () => number {
  let [last, behind] = [0, 0];
  return () => {
    const time = Date.now() + behind;
    behind += Math.max(0, last - time);
    return (last = Math.max(last, time));
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
