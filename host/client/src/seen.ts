/** How many ids are remembered. */
const MOST = 1000;

/** The ids of the last messages that had one. A publisher that is not sure whether a message was published sends it again, and
 *  the host remembers ids neither for ever nor over a restart. */
export class Seen {
  /** In the order in which they came. */
  private readonly keys = new Set<string>();

  /** Remember an id. Returns whether it is new. */
  add(topic: string, id: string): boolean {
    const key = JSON.stringify([topic, id]);
    if (this.keys.has(key)) return false;
    this.keys.add(key);
    for (const oldest of this.keys) {
      if (this.keys.size <= MOST) break;
      this.keys.delete(oldest);
    }
    return true;
  }

  /** The page wants the messages of a topic anew. */
  forget(topic: string): void {
    const beginning = JSON.stringify([topic, ""]).slice(0, -2);
    for (const key of this.keys) if (key.startsWith(beginning)) this.keys.delete(key);
  }
}
