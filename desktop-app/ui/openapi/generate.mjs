// Makes src/generated/{agent,hub}.ts from the documents beside this file.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const here = new URL(".", import.meta.url);
const target = new URL("../src/generated/", here);

await mkdir(target, { recursive: true });
for (const name of ["agent", "hub"]) {
    const document = JSON.parse(await readFile(new URL(`${name}.json`, here), "utf8"));
    await writeFile(new URL(`${name}.ts`, target), astToString(await openapiTS(document)));
}
