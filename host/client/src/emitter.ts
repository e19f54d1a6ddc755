import type { Events } from "./types.js";

/** Who listens to which event. */
export class Emitter {
  private readonly listeners = new Map<keyof Events, Set<(event: never) => void>>();

  on<K extends keyof Events>(event: K, listener: (event: Events[K]) => void): () => void {
    const all = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, all.add(listener));
    return () => void all.delete(listener);
  }

  emit<K extends keyof Events>(event: K, what: Events[K]): void {
    const all = this.listeners.get(event);
    if (!all?.size && event === "error") console.error(what);
    for (const listener of [...(all ?? [])]) safely(listener as (event: Events[K]) => void, what);
  }
}

/** Call a function of the page. If it throws, the page hears of it as of any error, and the library goes on. */
export function safely<A extends unknown[]>(call: (...values: A) => void, ...values: A): void {
  try {
    call(...values);
  } catch (error) {
    setTimeout(() => {
      throw error;
    });
  }
}
