// What this browser keeps: drafts and answers not yet acknowledged, in IndexedDB. Where that is forbidden they are kept as
// long as the page lives. Drafts hold letters, numbers and the labeler's own words, no text of a task.

const keepFor = 14 * 24 * 3600 * 1000; // ms that a draft may lie

/** A random name for one submission, so that sending it twice counts once. */
export function idempotencyKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is missing on plain http addresses
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** This browser, by a random name; drafts say where they were made. */
export const device = (() => {
  try {
    const name = localStorage.getItem("rlhf.device") ?? idempotencyKey();
    localStorage.setItem("rlhf.device", name);
    return name;
  } catch {
    return idempotencyKey();
  }
})();

const opening = new Promise((resolve) => {
  let request;
  try {
    request = indexedDB.open("rlhf", 1);
  } catch {
    resolve(null);
    return;
  }
  request.onupgradeneeded = () => {
    request.result.createObjectStore("drafts", { keyPath: ["user", "task"] });
    request.result.createObjectStore("outbox", { keyPath: "key" });
  };
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => resolve(null);
  request.onblocked = () => resolve(null);
});
const base = await opening;
const memory = { drafts: new Map(), outbox: new Map() };

function id(store, record) {
  return store === "drafts" ? JSON.stringify([record.user, record.task]) : record.key;
}

/** Runs one request in a transaction of its own, committed at once so that it outlives the page. */
function once(store, mode, ask) {
  return new Promise((resolve) => {
    let request;
    try {
      const transaction = base.transaction(store, mode, { durability: "strict" });
      request = ask(transaction.objectStore(store));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => resolve(undefined); // storage that is full loses the draft, not the work on the screen
      transaction.commit();
    } catch {
      resolve(undefined);
    }
  });
}

function put(store, record) {
  memory[store].set(id(store, record), record);
  return base ? once(store, "readwrite", (objects) => objects.put(record)) : Promise.resolve();
}

function drop(store, record) {
  memory[store].delete(id(store, record));
  return base ? once(store, "readwrite", (objects) => objects.delete(store === "drafts" ? [record.user, record.task] : record.key)) : Promise.resolve();
}

async function all(store) {
  return (base && (await once(store, "readonly", (objects) => objects.getAll()))) || [...memory[store].values()];
}

export const drafts = {
  /** Keeps {user, task, body, version, dirty}; version is the server's that the body builds upon. */
  put: (record) => put("drafts", { ...record, saved: Date.now() }),
  drop: (user, task) => drop("drafts", { user, task }),
  async get(user, task) {
    if (base) {
      const record = await once("drafts", "readonly", (objects) => objects.get([user, task]));
      if (record) return record;
    }
    return memory.drafts.get(JSON.stringify([user, task])) ?? null;
  },
  async prune() {
    for (const record of await all("drafts")) {
      if (Date.now() - record.saved > keepFor) drop("drafts", record);
    }
  },
};

export const outbox = {
  /** Keeps {key, user, task, skip, body}: an answer that the server has not acknowledged. */
  put: (entry) => put("outbox", { ...entry, at: entry.at ?? Date.now() }),
  drop: (entry) => drop("outbox", entry),
  async of(user) {
    return (await all("outbox")).filter((entry) => entry.user === user).sort((a, b) => a.at - b.at);
  },
};
