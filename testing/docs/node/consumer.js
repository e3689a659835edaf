// Runs a consumer, and answers each line of its input with the rooms that the consumer holds.
import { createInterface } from "node:readline";
import { rooms } from "@/lib/feed";

await import(`./${process.argv[2]}.js`);
for await (const _ of createInterface(process.stdin)) console.log(JSON.stringify(Object.fromEntries(rooms)));
