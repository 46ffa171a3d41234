// A device kit as a page reads it: its manifest, and its files by name, from where the page lies or from the zip.

const END = 0x06054b50, ENTRY = 0x02014b50, DEFLATED = 8;

// The only place that knows how a manifest is laid out; `text` is kept as it is, because its hash is over it.
export function readManifest(text) {
  const manifest = JSON.parse(text);
  return {
    hash: manifest.kit,
    slots: manifest.slots,
    command: "known" in manifest ? "adapt" : "ingest",
    text: text.replaceAll(/[\r\n]+/g, ""),
    probes: manifest.probes.map(({ file, sha256, kind }, index) => ({ index, file, sha256, inEverySlot: kind === "reference" || kind === "empty" })),
  };
}

export async function openKit(read) {
  return { ...readManifest(new TextDecoder().decode(await read("manifest.json"))), read };
}

export async function readBeside(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name} is not beside this page (${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}

// A probe's bytes, compared with its hash where the browser can hash: not on plain HTTP from another machine.
export async function readProbe(kit, { file, sha256 }) {
  const bytes = await kit.read(file);
  if (sha256 && globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (hex !== sha256) throw new Error(`${file} is damaged; copy the kit again`);
  }
  return bytes;
}

// `read(name)` of a zip's files; only what is asked for is taken into memory.
export async function zipReader(blob) {
  const entries = await zipEntries(blob);
  return async (name) => {
    const entry = entries.get(name);
    if (!entry) throw new Error(`no ${name} in this zip; choose the kit's own`);
    const head = new DataView(await blob.slice(entry.offset, entry.offset + 30).arrayBuffer());
    const start = entry.offset + 30 + head.getUint16(26, true) + head.getUint16(28, true);
    const data = blob.slice(start, start + entry.size);
    if (entry.method !== DEFLATED) return new Uint8Array(await data.arrayBuffer());
    const inflated = data.stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(inflated).arrayBuffer());
  };
}

async function zipEntries(blob) {
  const tail = new DataView(await blob.slice(Math.max(0, blob.size - 65557)).arrayBuffer());
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== END) end--;
  if (end < 0) throw new Error("this is no zip file, or not a whole one; choose the kit's zip");
  const start = tail.getUint32(end + 16, true), size = tail.getUint32(end + 12, true);
  const directory = await blob.slice(start, start + size).arrayBuffer();
  const view = new DataView(directory), entries = new Map();
  for (let at = 0; at + 46 <= size && view.getUint32(at, true) === ENTRY; ) {
    const length = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(new Uint8Array(directory, at + 46, length));
    entries.set(name, {
      method: view.getUint16(at + 10, true),
      size: view.getUint32(at + 20, true),
      offset: view.getUint32(at + 42, true),
    });
    at += 46 + length + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}
