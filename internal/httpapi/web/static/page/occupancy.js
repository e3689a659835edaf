// Counts the people in all rooms. People are the participants that count, which rooms:participants lists.

import { plural } from "./format.js";

/** occupancy returns { rooms, people } of the whole cluster, or null while a node has not said. */
export function occupancy({ data }) {
  const owners = (data?.members ?? []).filter((member) => member.state !== "away"); // who is away owns nothing
  if (!owners.length || owners.some((member) => !member.occupancy)) return null;
  const sum = (key) => owners.reduce((total, member) => total + member.occupancy[key], 0);
  return { rooms: sum("rooms"), people: sum("people") };
}

/** peopleIn says how many people are in how many rooms; rooms is a text. */
export const peopleIn = (people, rooms) => `${plural(people, "person", "people")} in ${rooms}`;

/** sentence says it of an occupancy. */
export function sentence({ rooms, people }) {
  return rooms ? `${peopleIn(people, plural(rooms, "room"))}.` : "No room is live.";
}
