import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { keepFile } from "./keep-file.ts";

/** Of the host's /etc only what programs need to start, and to check certificates. */
const FROM_HOST = [
  "ld.so.cache",
  "ld.so.conf",
  "ld.so.conf.d",
  "alternatives",
  "ssl/certs",
  "ssl/openssl.cnf",
  "ca-certificates.conf",
  "pki/tls/certs",
  "pki/ca-trust/extracted",
  "crypto-policies",
  "localtime",
  "timezone",
  "os-release",
  "mime.types",
  "protocols",
  "services",
];

/**
 * The mounts of the jail's /etc. `dir` receives the files that are ours and not the host's: one
 * account with `home`, localhost, and no name server (names are resolved by the egress proxy).
 */
export function jailEtc(dir: string, home: string): readonly string[] {
  const own = ownFiles(home);
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  for (const [name, content] of Object.entries(own)) {
    keepFile(join(dir, name), content);
  }
  return [
    ...FROM_HOST.flatMap((name) => ["--ro-bind-try", `/etc/${name}`, `/etc/${name}`]),
    ...Object.keys(own).flatMap((name) => ["--ro-bind", join(dir, name), `/etc/${name}`]),
  ];
}

function ownFiles(home: string): Readonly<Record<string, string>> {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  const name = uid === 0 ? "root" : "agent";
  const group = gid === 0 ? "root" : "agent";
  return {
    passwd: `${name}:x:${uid}:${gid}:agent:${home}:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n`,
    group: `${group}:x:${gid}:\nnogroup:x:65534:\n`,
    hosts: "127.0.0.1 localhost agent\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
  };
}
