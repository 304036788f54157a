import { describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import packageFile from "../../package.json" with { type: "json" };
import { billOfMaterials } from "../../script/bill-of-materials.ts";

const read = (path: string) => readFile(path, "utf8");
const withoutComments = (text: string) => text.replace(/^\s*#.*$/gm, "");

/** The directives of a unit file, the last value of each. */
function directives(unit: string): ReadonlyMap<string, string> {
  const lines = withoutComments(unit)
    .split("\n")
    .filter((line) => line.includes("="));
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

describe("the systemd unit", () => {
  test.each([
    ["NoNewPrivileges", "yes"],
    ["ProtectSystem", "strict"],
    ["ProtectHome", "yes"],
    ["PrivateTmp", "yes"],
    ["PrivateDevices", "yes"],
    ["CapabilityBoundingSet", ""],
    ["AmbientCapabilities", ""],
    ["RestrictSUIDSGID", "yes"],
    ["ProtectKernelModules", "yes"],
    ["ProtectControlGroups", "yes"],
    ["ProtectProc", "invisible"],
    ["UMask", "0077"],
    ["StateDirectoryMode", "0700"],
    ["LimitCORE", "0"],
  ])("sets %s=%s", async (name, value) => {
    expect(directives(await read("packaging/systemd/claude-hooks.service")).get(name)).toBe(value);
  });

  test("runs as a user who is not root, and may stop for longer than the service needs", async () => {
    const unit = directives(await read("packaging/systemd/claude-hooks.service"));

    expect(unit.get("User")).toBe("claude-hooks");
    expect(Number(unit.get("TimeoutStopSec"))).toBeGreaterThan(20);
    expect(unit.get("KillMode")).toBe("mixed");
  });

  // Each of these was measured to leave agents without a sandbox, or stops Bun.
  test.each([
    "ProtectKernelTunables",
    "ProtectKernelLogs",
    "ProcSubset",
    "ProtectHostname",
    "MemoryDenyWriteExecute",
  ])("does not set %s, and says why", async (name) => {
    const text = await read("packaging/systemd/claude-hooks.service");

    expect(directives(text).has(name)).toBe(false);
    expect(text).toMatch(new RegExp(`# .*${name}`));
  });

  test("lets bubblewrap make the namespaces it makes, and talk to the kernel's network", async () => {
    const unit = directives(await read("packaging/systemd/claude-hooks.service"));
    const made = [
      ...(await read("src/sandbox/bwrap-command.ts")).matchAll(/"--unshare-(\w+)"/g),
    ].map(([, name]) => name ?? "");

    expect(made.length).toBeGreaterThan(3);
    expect(unit.get("RestrictNamespaces")?.split(" ")).toEqual(
      expect.arrayContaining([...made, "mnt"]),
    );
    expect(unit.get("RestrictAddressFamilies")?.split(" ")).toContain("AF_NETLINK");
    expect(unit.get("SystemCallFilter")).toStartWith("~");
    expect(unit.get("SystemCallFilter")).not.toMatch(
      /@(?:mount|process|privileged|system-service)/,
    );
  });
});

describe("the container file", () => {
  test("ends as a user without rights, on a fixed base, with exactly the lock file and no package's script", async () => {
    const lines = withoutComments(await read("packaging/container/Containerfile"));

    expect([...lines.matchAll(/^USER (.+)$/gm)].at(-1)?.[1]).toBe("10001:10001");
    expect(
      [...lines.matchAll(/^FROM (\S+)/gm)].every(
        ([, image]) => !image?.endsWith(":latest") && image?.includes(":"),
      ),
    ).toBe(true);
    expect(lines).toContain("bun install --frozen-lockfile --production --ignore-scripts");
    expect(lines).toContain(`bun@${packageFile.engines.bun.replace(">=", "")}`);
    for (const needed of ["bubblewrap", "socat", "git", "util-linux"])
      expect(lines).toContain(needed);
    expect(lines).not.toMatch(/^ADD|sudo|setuid|chmod [0-7]*7{3}|curl .*\|/m);
  });

  test("says what the sandbox needs of the runtime, without --privileged", async () => {
    const text = await read("packaging/container/Containerfile");
    const run = text.slice(text.indexOf("podman run"), text.indexOf("With Docker"));

    for (const option of ["--read-only", "--cap-drop=all", "no-new-privileges", "unmask=ALL"]) {
      expect(run).toContain(option);
    }
    expect(run).not.toContain("--privileged");
  });
});

/** What of these dependencies could become something else without a change of ours. */
const floating = (dependencies: Readonly<Record<string, string>>) =>
  Object.entries(dependencies)
    .filter(([, version]) => !/^\d+\.\d+\.\d+$/u.test(version))
    .map(([name]) => name);

describe("the packages", () => {
  test("are asked for in exactly one version each, and none is trusted to run a script when it is installed", async () => {
    expect(floating({ ...packageFile.dependencies, ...packageFile.devDependencies })).toEqual([]);
    expect(packageFile).not.toHaveProperty("trustedDependencies");
    expect(await read("bun.lock")).not.toContain("trustedDependencies");
    expect(await read("script/setup")).toContain("bun install --frozen-lockfile");
  });

  test.each(["^1.2.3", "~1.2.3", "1", "*", "latest", ">=1.2.3", "github:a/b", "file:../x"])(
    "control: %s is not exactly one",
    (version) => {
      expect(floating({ some: version })).toEqual(["some"]);
    },
  );
});

describe("the bill of materials", () => {
  test("names every package of the lock file once, and is the same each time", async () => {
    const [lock, own] = [await read("bun.lock"), await read("package.json")];

    const bill = JSON.parse(billOfMaterials(lock, own));

    const ids = [...lock.matchAll(/^ {4}"[^"]+": \["([^"]+)"/gm)].map(([, id]) => id ?? "");
    const told = bill.components.map(
      (one: { name: string; version: string }) => `${one.name}@${one.version}`,
    );
    expect(told.toSorted()).toEqual([...new Set(ids)].toSorted());
    expect(told.length).toBeGreaterThan(100);
    expect(billOfMaterials(lock, own)).toBe(billOfMaterials(lock, own));
    const refs = new Set(bill.components.map((one: { "bom-ref": string }) => one["bom-ref"]));
    const needs: string[] = bill.dependencies.flatMap(
      (one: { dependsOn: string[] }) => one.dependsOn,
    );
    expect(needs.filter((ref) => !refs.has(ref))).toEqual([]);
    for (const { hashes } of bill.components) expect(hashes[0].content).toMatch(/^[0-9a-f]{128}$/);
  });

  test("tells what the service needs from what only development needs", async () => {
    const bill = JSON.parse(billOfMaterials(await read("bun.lock"), await read("package.json")));
    const scope = (name: string) =>
      bill.components.find((one: { name: string }) => one.name === name)?.scope;

    for (const name of Object.keys(packageFile.dependencies))
      expect([name, scope(name)]).toEqual([name, "required"]);
    for (const name of ["typescript", "@biomejs/biome", "knip"]) {
      expect([name, scope(name)]).toEqual([name, "excluded"]);
    }
  });

  test("of a lock file of another form there is none", () => {
    expect(() => billOfMaterials('{"lockfileVersion": 99, "packages": {}}', "{}")).toThrow();
  });
});

test("known weaknesses are asked for on a schedule, and not in the gate", async () => {
  const audit = parse(await read(".forgejo/workflows/audit.yaml"));

  expect(audit.on.schedule[0].cron).toMatch(/^\S+ \S+ \S+ \S+ \S+$/);
  expect(JSON.stringify(audit.jobs)).toContain("script/audit");
  for (const gate of [
    ".ci/run",
    "script/test",
    "script/run-checks.ts",
    ".forgejo/workflows/qa.yaml",
  ]) {
    expect(await read(gate)).not.toMatch(/script\/audit|bun audit/);
  }
});
