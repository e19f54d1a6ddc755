import type { Header } from "./framing.js";
import type { Topic } from "./topic.js";
import type { Events, Member } from "./types.js";

/** Note who is subscribed to a topic, as the host says: everyone, or what has changed, or only how many there are. */
export function present(topic: Topic, { count, members, joined, left }: Header): Events["presence"] {
  const [all, come, gone] = [members as Member[] | undefined, list<Member>(joined), list<number>(left)];
  if (all) topic.members = byId(all);
  else if (!joined && !left) topic.members = undefined;
  // Who has left comes first: a connection may have done both.
  for (const connection of gone) topic.members?.delete(connection);
  for (const member of come) topic.members?.set(member.connection, member);
  const known = topic.members && [...topic.members.values()];
  return { topic: topic.name, count: count as number, members: known, joined: come, left: gone };
}

const byId = (members: Member[]) => new Map(members.map((member) => [member.connection, member]));

const list = <T>(value: unknown) => (value as T[] | undefined) ?? [];
