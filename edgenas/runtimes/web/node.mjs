// onnxruntime-web in Node: `node node.mjs <script> <wasm>`; a line of JSON in, a line of JSON out, until input ends.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { answerer } from "./answer.mjs";
import { configure, tickOf } from "./sessions.mjs";

// Output is for replies alone: what libraries print goes to the error stream.
const reply = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);

const now = () => performance.now();
const gauges = {
  now,
  tick: tickOf(now),
  cpu() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  switches: () => process.resourceUsage().involuntaryContextSwitches,
};

const [script, wasm] = process.argv.slice(2);
const ort = await import(pathToFileURL(script));
configure(ort, readFileSync(wasm));
const answer = answerer(ort, {
  read: (file) => new Uint8Array(readFileSync(file)),
  gauges,
  facts: () => ({ engine: `Node ${process.versions.node}`, threads: 1 }),
});

for await (const line of createInterface({ input: process.stdin })) {
  reply(JSON.stringify(await answer(JSON.parse(line))) + "\n");
}
process.exit(0);
