// What has been measured, kept by the browser from slot to slot: a page that was closed or has crashed goes on.

export class Store {
  static async open() {
    const request = indexedDB.open("edgenas", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("kits", { keyPath: "kit" });
      request.result.createObjectStore("slots", { keyPath: ["kit", "slot"] });
    };
    return new Store(await settled(request));
  }

  constructor(database) {
    this.database = database;
  }

  // The header line of a kit's results, undefined before the first start.
  async header(kit) {
    return (await settled(this.database.transaction("kits").objectStore("kits").get(kit)))?.header;
  }

  async begin(kit, header) {
    await this.put("kits", { kit, header });
  }

  // Lines of all slots, in order.
  async lines(kit) {
    const slots = await settled(this.database.transaction("slots").objectStore("slots").getAll(ofKit(kit)));
    return slots.flatMap(({ lines }) => lines);
  }

  async add(kit, slot, lines) {
    await this.put("slots", { kit, slot, lines });
  }

  async forget(kit) {
    const transaction = this.database.transaction(["kits", "slots"], "readwrite");
    transaction.objectStore("kits").delete(kit);
    transaction.objectStore("slots").delete(ofKit(kit));
    await finished(transaction);
  }

  async put(name, record) {
    const transaction = this.database.transaction(name, "readwrite", { durability: "strict" });
    transaction.objectStore(name).put(record);
    await finished(transaction);
  }
}

function ofKit(kit) {
  return IDBKeyRange.bound([kit, -Infinity], [kit, Infinity]);
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}
