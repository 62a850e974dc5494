import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';

const extraFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/go/bin'];

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Path of a program, looked for in PATH and in the system folders that a user's PATH often lacks. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':').filter((f) => f !== ''), ...extraFolders];
  return folders.map((folder) => path.join(folder, name)).find(isExecutable);
}
