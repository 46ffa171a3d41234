// The commands that edgenas gives an engine, one at a time: load, run, rounds, free, facts. Errors are replies too.

import { Model } from "./sessions.mjs";

// `read(file)` gives a model's bytes; `facts()` says what else decides a number here.
export function answerer(ort, { read, gauges, facts }) {
  const models = new Map();
  let last = 0;

  const commands = {
    async load({ file }) {
      const model = await Model.load(ort, await read(file));
      models.set(++last, model);
      return { id: last, ...model.describe() };
    },
    async run({ id, input }) {
      const first = input && { ...input, bytes: fromBase64(input.data) };
      return { outputs: (await models.get(id).run(first)).map(packed) };
    },
    async rounds({ id, n, ms }) {
      const rounds = [];
      while (rounds.length < n) rounds.push(await models.get(id).round(ms, gauges));
      return { rounds };
    },
    async free({ id }) {
      const model = models.get(id);
      models.delete(id);
      await model.release();
      return {};
    },
    async facts() {
      return facts();
    },
  };

  return async (command) => {
    try {
      return await commands[command.do](command);
    } catch (error) {
      // A trap leaves the heap as it was in the middle of something: nothing more is to be run on it.
      return { error: String(error?.message ?? error), broken: error instanceof WebAssembly.RuntimeError };
    }
  };
}

function packed({ type, dims, data }) {
  return { type, dims, data: toBase64(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) };
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function toBase64(bytes) {
  const parts = [];
  // Arguments of a call go on the stack, which is small.
  for (let i = 0; i < bytes.length; i += 8192) parts.push(String.fromCharCode(...bytes.subarray(i, i + 8192)));
  return btoa(parts.join(""));
}
