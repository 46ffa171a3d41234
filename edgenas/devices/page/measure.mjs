// The measurement of a kit in a page: as the kit's runner, but a group of probes at a time, since a WASM heap is small.
//
// A slot is one round of each probe of the group, in random order, with the reference and the empty model in every one.
// Slots are numbered on over all groups, so that each slot has a reference of its own. A probe is measured in `slots`
// slots, in SESSIONS sessions one after the other. While one probe of ten repeats worse than MAX_REPEAT_ERROR, all of them
// are measured in as many slots more, up to PATIENCE times as many.

import { Model } from "./sessions.mjs";
import { readProbe } from "./kit.mjs";

export const SESSIONS = 3, SLOTS = 24, ROUND_MS = 5, PATIENCE = 3, MAX_REPEAT_ERROR = 0.04;
const GROUP_PROBES = 150, GROUP_BYTES = 96 * 2 ** 20;
const TAKE_BREATH_MS = 100;

export class Measurement {
  // `lines` are those of earlier visits; `save(slot, lines)` keeps new ones; `tell(rounds done, rounds in all)`.
  constructor(kit, ort, gauges, lines, save, tell) {
    Object.assign(this, { kit, ort, gauges, save, tell });
    this.always = kit.probes.filter((probe) => probe.inEverySlot);
    this.due = kit.probes.filter((probe) => !probe.inEverySlot);
    this.rounds = new Map(kit.probes.map(({ index }) => [index, []]));
    this.slots = kit.slots ?? SLOTS;
    this.target = this.slots;
    this.failed = new Map();
    this.slot = 0;
    this.breath = 0;
    for (const line of lines) this.count(line);
  }

  count({ probe, slot, ms, error }) {
    this.rounds.get(probe).push(ms);
    if (error !== undefined) this.failed.set(probe, error);
    this.slot = Math.max(this.slot, slot + 1);
  }

  done() {
    return this.due.reduce((sum, probe) => sum + this.target - this.left(probe), 0);
  }

  left({ index }) {
    return this.failed.has(index) ? 0 : Math.max(0, this.target - this.rounds.get(index).length);
  }

  async run() {
    for (this.target = this.slots; ; this.target += this.slots) {
      await this.runToTarget();
      if (this.target === PATIENCE * this.slots || this.repeatError() <= MAX_REPEAT_ERROR) break;
    }
  }

  async runToTarget() {
    this.tell(this.done(), this.due.length * this.target);
    for (let group; (group = await this.nextGroup()); ) {
      const first = Math.min(...group.map(({ probe }) => this.target - this.left(probe)));
      for (let done = first; done < this.target; done = this.sessionEnd(done)) await this.runSession(group, done);
    }
  }

  // Nine probes of ten repeat within it: the low quantile of their even rounds against that of the odd ones.
  repeatError() {
    const measured = this.due.filter(({ index }) => !this.failed.has(index));
    return quantile(measured.map(({ index }) => repeatError(this.rounds.get(index))), 0.9);
  }

  // The first probes that lack rounds, with their bytes, as many as fit; null when none is left.
  async nextGroup() {
    const group = [];
    let bytes = 0;
    for (const probe of this.due.filter((each) => this.left(each) > 0)) {
      const content = await readProbe(this.kit, probe);
      bytes += content.length;
      if (group.length && (bytes > GROUP_BYTES || group.length === GROUP_PROBES)) break;
      group.push({ probe, content });
    }
    return group.length ? group : null;
  }

  // One session of each probe, from its `done` slots on.
  async runSession(group, done) {
    const end = this.sessionEnd(done), session = (end * SESSIONS) / this.slots - 1;
    const models = await this.openAll(group);
    try {
      for (; done < end; done++) {
        const due = [...models.keys()].filter((probe) => probe.inEverySlot || this.target - this.left(probe) <= done);
        await this.runSlot(models, shuffled(due), session);
      }
    } finally {
      for (const model of models.values()) await model.release();
    }
  }

  sessionEnd(done) {
    const each = this.slots / SESSIONS;
    return (Math.floor(done / each) + 1) * each;
  }

  async openAll(group) {
    const models = new Map();
    for (const probe of this.always) models.set(probe, await this.open(await readProbe(this.kit, probe)));
    for (const { probe, content } of group) {
      if (this.failed.has(probe.index)) continue;
      await this.rest();
      try {
        models.set(probe, await this.open(content));
      } catch (error) {
        await this.keep([{ probe: probe.index, slot: this.slot, error: String(error?.message ?? error).slice(0, 300) }]);
        // After a trap the heap is no longer sound.
        if (error instanceof WebAssembly.RuntimeError) throw new Error(`${probe.file} crashed; reload this page to go on`);
      }
    }
    return models;
  }

  async open(content) {
    const model = await Model.load(this.ort, content);
    try {
      await model.warmUp(this.gauges);
    } catch (error) {
      await model.release();
      throw error;
    }
    return model;
  }

  async runSlot(models, order, session) {
    const lines = [];
    for (const probe of order) {
      await this.rest();
      const round = await models.get(probe).round(ROUND_MS, this.gauges);
      lines.push({ probe: probe.index, session, slot: this.slot, ...round });
    }
    await this.keep(lines);
  }

  async keep(lines) {
    await this.save(this.slot, lines);
    for (const line of lines) this.count(line);
    this.tell(this.done(), this.due.length * this.target);
  }

  // Between rounds the page may redraw, and it waits while it is hidden: browsers slow down what nobody sees.
  async rest() {
    while (document.hidden) await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    if (performance.now() - this.breath < TAKE_BREATH_MS) return;
    await new Promise((resolve) => setTimeout(resolve));
    this.breath = performance.now();
  }
}

function repeatError(rounds) {
  const [even, odd] = [0, 1].map((rest) => quantile(rounds.filter((ms, i) => i % 2 === rest && ms !== null), 0.1));
  return Math.abs(even / odd - 1);
}

// Linear between ranks; 0 of nothing.
function quantile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b), place = share * (sorted.length - 1), low = Math.floor(place);
  return sorted.length ? sorted[low] + (place - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]) : 0;
}

// Fisher and Yates.
function shuffled(items) {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
