/** A position, such as `1b2f4c-17`. A client need not look into it. This one does to tell repeated messages from new ones
 *  when a subscription begins again. */
export interface Position {
  epoch: string;
  offset: number;
}

/** Read a position. None if the text is not one. */
export function position(text: string): Position | undefined {
  const [, epoch, offset] = /^([0-9a-f]+)-([0-9]+)$/i.exec(text) ?? [];
  return epoch && offset ? { epoch, offset: Number(offset) } : undefined;
}

/** How many offsets `a` is behind `b`. None if they are of different runs of the host. */
export function distance(a: string, b: string): number | undefined {
  const [first, second] = [position(a), position(b)];
  return first && second && first.epoch === second.epoch ? first.offset - second.offset : undefined;
}
