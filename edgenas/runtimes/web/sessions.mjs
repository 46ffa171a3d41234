// A model in onnxruntime-web and its timing: in Node, in a page that edgenas drives, in the page of a device kit.
// The protocol is that of rounds.py: a round is the median of clean samples, a sample a batch of runs.

const LEAST_TICKS = 100, LEAST_SAMPLE_MS = 0.2, MOST_WALL_PER_CPU = 1.05;
const WARM_UP_RUNS = 3, WARM_UP_MS = 10;
const ARRAYS = {
  float32: Float32Array, float64: Float64Array, uint8: Uint8Array, int8: Int8Array,
  int32: Int32Array, int64: BigInt64Array, bool: Uint8Array,
};

// One thread unless told otherwise: more need shared memory, which pages have only when cross-origin isolated.
export function configure(ort, wasm, threads = 1) {
  ort.env.logLevel = "fatal";
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmBinary = wasm;
}

export class Model {
  static async load(ort, bytes) {
    const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all", executionMode: "sequential" };
    const session = await ort.InferenceSession.create(bytes, { ...options, logSeverityLevel: 4 });
    try {
      return new Model(ort, session);
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  constructor(ort, session) {
    Object.assign(this, { ort, session });
    const random = randomNumbers(0);
    this.feeds = Object.fromEntries(session.inputMetadata.map((value) => [value.name, madeUp(ort, value, random)]));
  }

  describe() {
    const ports = (values) => values.map((v) => ({ name: v.name, shape: fixed(v.shape), dtype: v.type }));
    return { inputs: ports(this.session.inputMetadata), outputs: ports(this.session.outputMetadata) };
  }

  // All outputs in the model's order; `first`, {type, dims, bytes}, replaces the first input.
  async run(first = null) {
    const feeds = { ...this.feeds };
    if (first) {
      const array = new ARRAYS[first.type](first.bytes.buffer, 0);
      feeds[this.session.inputNames[0]] = new this.ort.Tensor(first.type, array, first.dims);
    }
    const outputs = await this.session.run(feeds);
    return this.session.outputNames.map((name) => outputs[name]);
  }

  // By count, because first runs allocate; by time, because clocks rise slowly and engines compile what is hot.
  async warmUp(gauges) {
    for (let i = 0; i < WARM_UP_RUNS; i++) await this.session.run(this.feeds);
    await this.round(WARM_UP_MS, gauges);
  }

  round(ms, gauges) {
    return timedRound(() => this.session.run(this.feeds), ms, gauges);
  }

  async release() {
    await this.session.release();
  }
}

// What a page offers: nothing there tells that somebody else had the core.
export function pageGauges() {
  const now = () => performance.now();
  return { now, tick: tickOf(now), cpu: null, switches: () => 0 };
}

// The browser's name and version: whole where it tells, else its user agent, in which versions are often rounded.
export async function browser() {
  const told = await navigator.userAgentData?.getHighEntropyValues(["fullVersionList"]);
  const named = told?.fullVersionList.filter(({ brand }) => !/not.*brand/i.test(brand)) ?? [];
  return named.map(({ brand, version }) => `${brand} ${version}`).join(", ") || navigator.userAgent;
}

// The smallest step of a clock in ms; browsers round theirs, by 5 us or 100 us and more.
export function tickOf(now) {
  const steps = [];
  for (let i = 0; i < 5; i++) {
    const start = now();
    let later = start;
    while (later === start) later = now();
    steps.push(later - start);
  }
  return Math.min(...steps);
}

// {ms, runs, clean_share, disturbed_ms} of about `ms` milliseconds, at least one sample; ms is null without a clean one,
// disturbed_ms is of all samples.
export async function timedRound(run, ms, gauges) {
  const batch = await runsPerSample(run, gauges);
  const clean = [], every = [];
  let now = gauges.now();
  const end = now + ms;
  while (every.length === 0 || now < end) {
    const [spent, isClean] = await sample(run, batch, gauges);
    every.push(spent);
    if (isClean) clean.push(spent);
    now = gauges.now();
  }
  return {
    ms: median(clean) / batch || null,
    runs: every.length * batch,
    clean_share: clean.length / every.length,
    disturbed_ms: median(every) / batch,
  };
}

async function runsPerSample(run, gauges) {
  const needed = Math.max(LEAST_TICKS * gauges.tick, LEAST_SAMPLE_MS);
  let batch = 1, spent;
  // The faster of two: one that was interrupted would pass for long enough.
  while ((spent = Math.min(await wall(run, batch, gauges), await wall(run, batch, gauges))) < needed) {
    batch = Math.max(2 * batch, Math.ceil((batch * needed) / Math.max(spent, gauges.tick)));
  }
  return batch;
}

async function sample(run, batch, gauges) {
  const switches = gauges.switches();
  const cpu = gauges.cpu ? gauges.cpu() : 0;
  const spent = await wall(run, batch, gauges);
  const busy = gauges.cpu ? gauges.cpu() - cpu : spent;
  return [spent, gauges.switches() === switches && spent < MOST_WALL_PER_CPU * busy];
}

async function wall(run, batch, gauges) {
  const start = gauges.now();
  for (let i = 0; i < batch; i++) await run();
  return gauges.now() - start;
}

function median(values) {
  const sorted = Float64Array.from(values).sort(), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// Normal floats, any byte, and zeros and ones for wider integers, which are often indices.
function madeUp(ort, { name, type, shape }, random) {
  if (!(type in ARRAYS)) throw new Error(`input '${name}' is ${type}; it can be fed ${Object.keys(ARRAYS).join(", ")}`);
  const dims = fixed(shape), size = dims.reduce((a, b) => a * b, 1);
  const draw = type.startsWith("float") ? () => normal(random)
    : type === "int64" ? () => BigInt(random() < 0.5)
    : type === "uint8" || type === "int8" ? () => random() * 256
    : () => Number(random() < 0.5);
  return new ort.Tensor(type, ARRAYS[type].from({ length: size }, draw), dims);
}

// Dynamic dimensions are run as 1.
function fixed(shape) {
  return shape.map((size) => (Number.isInteger(size) && size > 0 ? size : 1));
}

function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

// Weyl steps through a 32-bit finaliser: the same uniform numbers in every engine, which Math.random is not.
function randomNumbers(seed) {
  return () => {
    seed = (seed + 0x9e3779b9) | 0;
    let bits = Math.imul(seed ^ (seed >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32;
  };
}
