// node pouch.mjs LOCAL REMOTE: puts visits.json into a new local database and replicates it. Prints {"wall_s","written"}.
import { readFileSync } from "node:fs";
import PouchDB from "pouchdb";

const [local, remote] = process.argv.slice(2);
const db = new PouchDB(local);
for (const visit of JSON.parse(readFileSync("visits.json", "utf8"))) {
  await db.bulkDocs(visit);
}
const far = new PouchDB(remote);
await far.info();
const started = performance.now();
const done = await db.replicate.to(far, { batch_size: 1000 });
console.log(JSON.stringify({ wall_s: (performance.now() - started) / 1000, written: done.docs_written }));
