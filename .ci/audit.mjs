// Reads the report of `npm audit --json` and fails on a known vulnerability, from "high" on, of what is deployed: the functions'
// dependencies, and everything that the web client brings to a browser, which package.json has among what only builds. Of the
// rest it tells. Not every registry has the list: then nothing was checked, which must be seen and does not fail what has nothing
// to do with it.
import { readdirSync, readFileSync } from "node:fs";

const GRAVE = ["high", "critical"];
const root = new URL("../", import.meta.url);
const lock = JSON.parse(readFileSync(new URL("package-lock.json", root), "utf8")).packages;

/** Packages that the web client's sources import; the styles bring the fonts. */
function importedByWeb() {
  const folder = new URL("web/src/", root);
  const files = readdirSync(folder, { recursive: true })
    .filter((name) => /\.(ts|tsx|css)$/.test(name) && !/\.test\.ts$/.test(name));
  return files.flatMap((name) => {
    const text = readFileSync(new URL(name, folder), "utf8");
    return [...text.matchAll(/(?:from|import|import\() *["']((?:@[\w.-]+\/)?[\w-][\w.-]*)/g)].map((
      [, found],
    ) => found);
  });
}

/** With everything that they need themselves, wherever npm has put it. */
function withDependencies(names) {
  const found = new Set();
  const rest = [...names];
  for (let name; (name = rest.pop()) !== undefined;) {
    if (found.has(name)) continue;
    found.add(name);
    for (const [path, one] of Object.entries(lock)) {
      if (path.endsWith(`node_modules/${name}`)) {
        rest.push(
          ...Object.keys({
            ...one.dependencies,
            ...one.peerDependencies,
            ...one.optionalDependencies,
          }),
        );
      }
    }
  }
  return found;
}

let report = {};
try {
  report = JSON.parse(readFileSync(0, "utf8"));
} catch {
  // A registry without the list answers in words.
}
if (report.metadata?.vulnerabilities === undefined) {
  console.error("################################################################################");
  console.error(
    "# npm audit WAS NOT DONE: this registry has no list of vulnerabilities.         #",
  );
  console.error("################################################################################");
  process.exit(0);
}
const deployed = withDependencies([...Object.keys(lock[""].dependencies), ...importedByWeb()]);
const grave = Object.values(report.vulnerabilities ?? {}).filter(({ severity }) =>
  GRAVE.includes(severity)
);
const failing = grave.filter(({ name }) => deployed.has(name));
for (const { name, severity, range } of grave) {
  console.error(
    `npm audit: ${name} ${range} (${severity})${
      deployed.has(name) ? "" : ": only builds or tests"
    }`,
  );
}
console.log(
  `npm audit: ${failing.length} of ${deployed.size} deployed packages have a vulnerability of level high or critical.`,
);
process.exit(failing.length === 0 ? 0 : 1);
