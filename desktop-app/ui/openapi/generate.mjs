// Makes src/generated/{agent,hub}.ts from the documents beside this file.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const here = new URL(".", import.meta.url);
const target = new URL("../src/generated/", here);

await mkdir(target, { recursive: true });
for (const name of ["agent", "hub"]) {
    const document = JSON.parse(await readFile(new URL(`${name}.json`, here), "utf8"));
    complete(document);
    await writeFile(new URL(`${name}.ts`, target), astToString(await openapiTS(document)));
}

/**
 * The Rust side names operations after functions ("get" in several modules) and may leave path parameters to the path
 * itself. TypeScript needs neither repeated names nor guesses: operations go by path, and `{id}` is a string.
 */
function complete(document) {
    for (const [path, item] of Object.entries(document.paths)) {
        const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
        for (const operation of Object.values(item)) {
            delete operation.operationId;
            const stated = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
            const missing = names.filter((name) => !stated.some((parameter) => parameter.name === name));
            const added = missing.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } }));
            operation.parameters = [...(operation.parameters ?? []), ...added];
        }
    }
}
