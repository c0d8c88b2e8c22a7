// What outlives a reload: files and what is known of them, in the browser's IndexedDB on this computer.
import type { Item } from "./item";

const NAME = "crass-tf";
const ITEMS = "items";
const FILES = "files";

export class Store {
  private constructor(private readonly database: IDBDatabase) {}

  static async open(): Promise<Store> {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(ITEMS, { keyPath: "id" });
      request.result.createObjectStore(FILES);
    };
    return new Store(await result(request));
  }

  async items(): Promise<Item[]> {
    return result(this.database.transaction(ITEMS).objectStore(ITEMS).getAll());
  }

  async file(id: string): Promise<Blob | undefined> {
    return result(this.database.transaction(FILES).objectStore(FILES).get(id));
  }

  async add(item: Item, file: Blob): Promise<void> {
    const transaction = this.database.transaction([ITEMS, FILES], "readwrite");
    transaction.objectStore(ITEMS).put(item);
    transaction.objectStore(FILES).put(file, item.id);
    await finished(transaction);
  }

  async update(item: Item): Promise<void> {
    const transaction = this.database.transaction(ITEMS, "readwrite");
    transaction.objectStore(ITEMS).put(item);
    await finished(transaction);
  }

  async remove(id: string): Promise<void> {
    const transaction = this.database.transaction([ITEMS, FILES], "readwrite");
    transaction.objectStore(ITEMS).delete(id);
    transaction.objectStore(FILES).delete(id);
    await finished(transaction);
  }
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
