// Runs Python in MicroPython's webassembly port, whose words have 4 bytes as on the boards.
//
//     node tools/wasm.mjs CODE SOURCE:TARGET ...
//
// copies each host file or directory SOURCE to TARGET in the port's own file system (it sees no other), where imports
// start at "/", and runs CODE there. Exits as CODE's SystemExit says, 1 after any other exception.
//
// This port collects garbage only between two runs: a form feed in CODE ends one and begins the next.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const port = join(root, ".venv/node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs");
const { loadMicroPython } = await import(pathToFileURL(port));

function copy(fs, source, target) {
    if (statSync(source).isDirectory()) {
        fs.mkdirTree(target);
        for (const name of readdirSync(source)) {
            if (name !== "__pycache__") copy(fs, join(source, name), `${target}/${name}`);
        }
    } else {
        fs.mkdirTree(dirname(target));
        fs.writeFile(target, readFileSync(source));
    }
}

const [code, ...copies] = process.argv.slice(2);
const micropython = await loadMicroPython({
    heapsize: 16 * 1024 * 1024,
    linebuffer: true,
    stdout: (line) => console.log(line),
    stderr: (line) => console.error(line),
});
for (const pair of copies) {
    const [source, target] = pair.split(":");
    copy(micropython.FS, source, target);
}
try {
    for (const part of code.split("\f")) micropython.runPython(part);
} catch (error) {
    const exit = /^SystemExit: ?(-?\d+)?$/m.exec(error.message);
    if (!exit) console.error(error.message);
    process.exitCode = exit ? Number(exit[1] ?? 0) : 1;
}
