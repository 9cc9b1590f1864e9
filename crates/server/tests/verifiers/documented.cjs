// Says of each callback on standard input what the document's `verify` says of it.

const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");

const [, , document] = process.argv;
const load = new Function("require", `${readFileSync(document, "utf8")}\nreturn verify;`);
const verify = load(createRequire(__filename));

const cases = JSON.parse(readFileSync(0, "utf8"));
const said = ({ secret, headers, body }) => verify([secret], headers, Buffer.from(body));
console.log(JSON.stringify(cases.map(said)));
