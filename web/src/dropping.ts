// Files that were dropped, those in folders included.

export interface Named {
  name: string;
  blob: Blob;
}

export async function filesOf(data: DataTransfer): Promise<Named[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  // Entries are lost once this function waits.
  const found = await Promise.all(entries.map(read));
  if (found.length) return found.flat();
  return [...data.files].map((file) => ({ name: file.name, blob: file }));
}

async function read(entry: FileSystemEntry): Promise<Named[]> {
  if (entry.name.startsWith(".")) return [];
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ name: entry.fullPath.slice(1), blob: file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Named[] = [];
  // A reader gives a hundred entries at a time, none at the end.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found.sort((a, b) => a.name.localeCompare(b.name));
    for (const next of some) found.push(...(await read(next)));
  }
}
