import { createHash } from "node:crypto";
import { z } from "zod";

const Names = z.record(z.string(), z.string()).default({});
const Root = z.object({
  name: z.string(),
  version: z.string(),
  description: z.string(),
  license: z.string(),
  dependencies: Names,
  devDependencies: Names,
});
const Needs = z.looseObject({
  dependencies: Names,
  optionalDependencies: Names,
  peerDependencies: Names,
});
/** `name@version`, where it is from if not from the usual registry, what it needs, and its digest. */
const Entry = z.tuple([z.string(), z.string(), Needs, z.string()]);
const Lock = z.object({ lockfileVersion: z.literal(2), packages: z.record(z.string(), Entry) });

/** One place of the tree of packages; the same version may stand in several. */
interface Place {
  readonly url: string;
  readonly name: string;
  readonly version: string;
  /** Hex digits. */
  readonly sha512: string;
  /** The places of what it needs, as far as they are in the lock file. */
  readonly needs: readonly string[];
}

/**
 * What the service is made of, as CycloneDX 1.6 in JSON: every package of `bun.lock` with its version
 * and digest, and who needs whom; `excluded` is what is for development only. Made from the two texts
 * alone, so it needs no network, and the same texts give the same bytes. Throws for another form.
 */
export function billOfMaterials(lockText: string, packageText: string): string {
  const root = Root.parse(JSON.parse(packageText));
  const { packages } = Lock.parse(Bun.JSONC.parse(lockText));
  const places = new Map(
    Object.entries(packages).map(([key, entry]) => [key, placeOf(key, entry, packages)]),
  );
  const direct = [...Object.keys(root.dependencies), ...Object.keys(root.devDependencies)];
  const self = `pkg:generic/${root.name}@${root.version}`;
  const needs = new Map([[self, urlsOf(direct, places)]]);
  for (const { url, needs: keys } of places.values()) {
    needs.set(url, [...(needs.get(url) ?? []), ...urlsOf(keys, places)]);
  }
  const serial = createHash("sha256").update(lockText).update(packageText).digest("hex");
  const bill = {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuidOf(serial)}`,
    version: 1,
    metadata: { component: describeSelf(root, self) },
    components: components(places, reachable(Object.keys(root.dependencies), places)),
    dependencies: [...needs].sort(byFirst).map(([ref, urls]) => ({
      ref,
      dependsOn: [...new Set(urls)].sort(),
    })),
  };
  return `${JSON.stringify(bill, null, 2)}\n`;
}

function placeOf(
  key: string,
  [id, , needs, integrity]: z.output<typeof Entry>,
  packages: z.output<typeof Lock>["packages"],
): Place {
  const at = id.lastIndexOf("@");
  const [name, version] = [id.slice(0, at), id.slice(at + 1)];
  const wanted = {
    ...needs.peerDependencies,
    ...needs.optionalDependencies,
    ...needs.dependencies,
  };
  return {
    url: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    name,
    version,
    sha512: Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex"),
    needs: Object.keys(wanted).flatMap((need) => nearest(key, need, packages) ?? []),
  };
}

/** The place a package finds another one at: below itself, or below the nearest one around it. */
function nearest(
  from: string,
  name: string,
  packages: Readonly<Record<string, unknown>>,
): string | null {
  const around = from.match(/@[^/]+\/[^/]+|[^/]+/g) ?? [];
  for (let depth = around.length; depth >= 0; depth -= 1) {
    const key = [...around.slice(0, depth), name].join("/");
    if (Object.hasOwn(packages, key)) return key;
  }
  return null;
}

/** All places that are needed from these on, themselves included. */
function reachable(from: readonly string[], places: ReadonlyMap<string, Place>): Set<string> {
  const found = new Set<string>();
  const open = [...from];
  for (let key = open.pop(); key !== undefined; key = open.pop()) {
    if (found.has(key)) continue;
    found.add(key);
    open.push(...(places.get(key)?.needs ?? []));
  }
  return found;
}

function components(places: ReadonlyMap<string, Place>, needed: ReadonlySet<string>): object[] {
  const required = new Set(urlsOf([...needed], places));
  const byUrl = new Map([...places.values()].map((place) => [place.url, place]));
  return [...byUrl].sort(byFirst).map(([url, { name, version, sha512 }]) => ({
    type: "library",
    "bom-ref": url,
    name,
    version,
    scope: required.has(url) ? "required" : "excluded",
    purl: url,
    hashes: [{ alg: "SHA-512", content: sha512 }],
  }));
}

function urlsOf(keys: readonly string[], places: ReadonlyMap<string, Place>): string[] {
  return keys.flatMap((key) => places.get(key)?.url ?? []);
}

function describeSelf(root: z.output<typeof Root>, ref: string): object {
  const { name, version, description, license } = root;
  const licenses = [{ license: { id: license } }];
  return { type: "application", "bom-ref": ref, name, version, description, licenses };
}

/** A UUID made from hex digits, marked as one of no standard way of making it (version 8). */
function uuidOf(hex: string): string {
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`];
  return [...parts, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join("-");
}

function byFirst([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
