/** The file of a store, opened beside the code that owns it: for what that code never writes, or shows nobody. */
import { DatabaseSync } from 'node:sqlite';

export function inFile<Result>(path: string, work: (database: DatabaseSync) => Result): Result {
  const database = new DatabaseSync(path);
  try {
    return work(database);
  } finally {
    database.close();
  }
}
