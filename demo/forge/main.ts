import { parseArgs } from "node:util";
import { startForge } from "./start-forge.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    dir: { type: "string" },
    "push-ms": { type: "string" },
    "merge-check-ms": { type: "string" },
  },
});
if (values.dir === undefined) {
  console.error(
    "usage: bun demo/forge/main.ts --dir DIR [--port N] [--push-ms N] [--merge-check-ms N]",
  );
  process.exit(2);
}
const forge = await startForge({
  dir: values.dir,
  port: Number(values.port),
  ...(values["push-ms"] === undefined ? {} : { pushMs: Number(values["push-ms"]) }),
  ...(values["merge-check-ms"] === undefined
    ? {}
    : { mergeCheckMs: Number(values["merge-check-ms"]) }),
});
console.log(JSON.stringify({ url: forge.url, admin_token: forge.adminToken }));
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    forge.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
