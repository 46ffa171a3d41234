// The page itself: finds the kit, shows how far it is, and offers the results.

import { browser, configure, pageGauges } from "./sessions.mjs";
import { openKit, readBeside, zipReader } from "./kit.mjs";
import { Measurement, ROUND_MS, SESSIONS } from "./measure.mjs";
import { Store } from "./store.mjs";

const RUNNING = "edgenas.running";
const element = (id) => document.getElementById(id);
const show = (id, visible) => (element(id).hidden = !visible);

let kit, store, ort;

async function main() {
  store = await Store.open();
  element("zip").onchange = guarded(async () => begin(await zipReader(element("zip").files[0])));
  element("start").onclick = guarded(measure);
  element("forget").onclick = guarded(forget);
  // A page opened as a file may not read what lies beside it: there the zip is chosen by hand.
  if (location.protocol.startsWith("http")) await begin(readBeside);
  else ask();
}

function ask() {
  show("choose", true);
  say("This page was opened as a file, and cannot read what lies beside it.");
}

async function begin(read) {
  kit = await openKit(read);
  show("choose", false);
  show("ready", true);
  const lines = await store.lines(kit.hash);
  const before = lines.length ? "; a part is measured already" : "";
  say(`${kit.probes.length} models${before}. Keep this page in front, the screen on, and close other apps.`);
  element("start").textContent = lines.length ? "Continue" : "Start";
  element("device").value = localStorage.getItem("edgenas.device") ?? "";
  if (lines.length) await offer();
  if (localStorage.getItem(RUNNING) === kit.hash) await measure();
}

async function measure() {
  show("ready", false);
  localStorage.setItem(RUNNING, kit.hash);
  localStorage.setItem("edgenas.device", element("device").value);
  const lock = await navigator.wakeLock?.request("screen").catch(() => null);
  ort ??= await loadRuntime();
  const gauges = pageGauges(), header = await makeHeader(gauges);
  await checkSame(header);
  const line = `{"kit": ${JSON.stringify(kit.hash)}, "header": ${JSON.stringify(header)}, "manifest": ${kit.text}}`;
  if (!(await store.header(kit.hash))) await store.begin(kit.hash, { header, line });
  const save = (slot, lines) => store.add(kit.hash, slot, lines);
  const measurement = new Measurement(kit, ort, gauges, await store.lines(kit.hash), save, progress());
  await measurement.run();
  localStorage.removeItem(RUNNING);
  lock?.release();
  const failed = measurement.failed.size ? ` ${measurement.failed.size} models do not run here.` : "";
  say(`Done.${failed} Save the results, and where edgenas is installed run: edgenas ${kit.command} results.jsonl`);
  document.body.dataset.state = "done";
  await offer();
}

// The module is read as bytes and imported as a blob, since a page opened as a file may import nothing else.
async function loadRuntime() {
  say("loading onnxruntime-web");
  const script = new Blob([await kit.read("ort/ort.wasm.bundle.min.mjs")], { type: "text/javascript" });
  const module = await import(URL.createObjectURL(script));
  configure(module, await kit.read("ort/ort-wasm-simd-threaded.wasm"));
  return module;
}

// Everything that decides a number, as far as a page can know it.
async function makeHeader(gauges) {
  const engine = await browser(), chromium = /Chrom(e|ium)/.test(navigator.userAgent);
  const told = await navigator.userAgentData?.getHighEntropyValues(["architecture", "model", "platformVersion"]);
  const system = [told?.platform ?? navigator.platform, told?.platformVersion].filter(Boolean).join(" ");
  const processor = [told?.model, told?.architecture].filter(Boolean).join(" ") || navigator.platform || "unknown";
  const named = slug(element("device").value), unnamed = slug(`${system} ${chromium ? "chromium" : "browser"}`);
  return {
    unit: "ms", device: named || unnamed, processor, os: system,
    cores: navigator.hardwareConcurrency ?? 0, memory_gb: navigator.deviceMemory ?? 0,
    threads: 1, threads_requested: 1,
    runtime: chromium ? "onnxruntime-web-chromium" : "onnxruntime-web", version: ort.env.versions.web,
    provider: "wasm", simd: "on", optimisation: "all", engine,
    cross_origin_isolated: globalThis.crossOriginIsolated ? "yes" : "no",
    clock_ms: Number(gauges.tick.toPrecision(2)),
    protocol: `10 % quantile of round medians, interleaved rounds of ${ROUND_MS} ms, ${SESSIONS} sessions a model`,
    date: new Date().toISOString().slice(0, 10), kit: kit.hash,
  };
}

async function checkSame(header) {
  const before = (await store.header(kit.hash))?.header;
  for (const name of before ? ["device", "runtime", "version", "engine", "cross_origin_isolated"] : []) {
    if (before[name] !== header[name]) {
      throw new Error(`begun with ${name} ${before[name]}, this is ${header[name]}; save what there is and start afresh`);
    }
  }
}

function slug(text) {
  return text.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "");
}

function progress() {
  const started = performance.now();
  let first = null;
  return (done, total) => {
    first ??= done;
    element("bar").max = total;
    element("bar").value = done;
    const left_s = done > first ? ((performance.now() - started) / 1000 / (done - first)) * (total - done) : null;
    const left = left_s === null ? "" : `, ${Math.floor(left_s / 60)} min ${String(Math.round(left_s % 60)).padStart(2, "0")} s left`;
    say(`${done} of ${total} rounds${left}`);
  };
}

async function offer() {
  const lines = (await store.lines(kit.hash)).map((line) => JSON.stringify(line));
  const text = [(await store.header(kit.hash)).line, ...lines, ""].join("\n");
  URL.revokeObjectURL(element("save").href);
  element("save").href = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }));
  show("results", true);
}

async function forget() {
  if (!confirm("Delete what has been measured?")) return;
  await store.forget(kit.hash);
  localStorage.removeItem(RUNNING);
  location.reload();
}

function say(text) {
  element("say").textContent = text;
}

// Errors are for the person to read; what was measured before stays.
function guarded(work) {
  return async () => {
    try {
      await work();
    } catch (error) {
      localStorage.removeItem(RUNNING);
      document.body.dataset.state = "failed";
      say(`Stopped: ${error?.message ?? error}`);
      if (kit && (await store.lines(kit.hash)).length) await offer();
      show("ready", Boolean(kit));
    }
  };
}

guarded(main)();
