import type { Environment } from "./environment.js";
import { Failure } from "./error.js";

/** What something becomes, or `timeout` if that takes longer than so many milliseconds. */
export async function within<T>(environment: Environment, milliseconds: number, something: Promise<T>): Promise<T> {
  let stop = () => {};
  const late = new Promise<never>((_, reject) => {
    stop = environment.after(milliseconds, () => reject(new Failure("timeout", `nothing came within ${milliseconds} ms`)));
  });
  return Promise.race([something, late]).finally(() => stop());
}
