import { lstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";

/** A path of a jail is not what it has to be; nothing was started. */
export class JailRefusal extends Error {
  override readonly name = "JailRefusal";
}

/**
 * The mounts of a clone at `inside`: writable but for what makes its git run programs. `.git` is a
 * mount of its own, for a directory that merely holds mounts could be renamed and replaced.
 *
 * bubblewrap resolves the links of a mount's source on the host, so no name may be mounted that an
 * agent can make a link of. These three cannot be: in every jail before, they were mount points,
 * and those cannot be renamed or removed (rename(2) EBUSY), not even by a process that outlived its
 * jail. Other names of `.git` (config.worktree, commondir, alternates) are the agent's to make; they
 * are not mounted, and no git of the service ever reads them.
 * @throws JailRefusal when one of the paths is a link all the same
 */
export function cloneMounts(clone: string, inside: string): readonly string[] {
  const whole = ownDirectoryMount(clone, inside);
  const git = join(clone, ".git");
  const found = kindOf(git);
  if (found === "missing") return whole;
  if (found !== "directory") throw notPlain(git);
  const [hooks, config] = [join(git, "hooks"), join(git, "config")];
  if (kindOf(hooks) === "missing") mkdirSync(hooks, { mode: 0o755 });
  if (kindOf(hooks) !== "directory") throw notPlain(hooks);
  if (kindOf(config) !== "file") throw notPlain(config);
  return [
    ...whole,
    ...["--bind", git, `${inside}/.git`],
    ...["--ro-bind", hooks, `${inside}/.git/hooks`],
    ...["--ro-bind", config, `${inside}/.git/config`],
  ];
}

/** Mounts a directory that commands in the jail write; never what a link in its place leads to. @throws JailRefusal */
export function ownDirectoryMount(path: string, inside: string): readonly string[] {
  if (kindOf(path) === "other") throw notPlain(path);
  return ["--bind", path, inside];
}

function kindOf(path: string): "missing" | "directory" | "file" | "other" {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return "missing";
  if (found.isDirectory()) return "directory";
  return found.isFile() ? "file" : "other";
}

const notPlain = (path: string): JailRefusal =>
  new JailRefusal(
    `${path} is missing, a link or of the wrong kind, and is not mounted; remove the clone, it is made again`,
  );
