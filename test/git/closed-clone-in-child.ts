// Run as a user without rights: an agent closes its clone and its home, and the service goes on.
import { chmod, lstat, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../../src/git/remove-tree.ts";
import { ITEM, workbench } from "./workbench.ts";

const isThere = async (path: string): Promise<boolean> =>
  await lstat(path).then(
    () => true,
    () => false,
  );

await using bench = await workbench();
const made = await bench.git.prepare(bench.order());
await mkdir(join(made.path, "a/b"), { recursive: true });
await writeFile(join(made.path, "a/b/c"), "x");
await chmod(join(made.path, "a/b"), 0);
await chmod(join(made.path, "a"), 0o500);
const second = await bench.git.prepare(bench.order());
await chmod(made.path, 0);
const third = await bench.git.prepare(bench.order());
await chmod(made.path, 0o500);
const removed = await bench.git.removeClones(ITEM);

const home = join(bench.root, "home");
await mkdir(join(home, "projects/x"), { recursive: true });
await writeFile(join(home, "projects/x/f"), "t");
const deep = 'my $n="d"x200; for (1..60) { mkdir $n or die $!; chdir $n or die $! } open(F,">f")';
await Bun.$`perl -e ${deep}`.cwd(join(home, "projects")).quiet();
for (const part of ["projects/x", "projects", ""]) await chmod(join(home, part), 0);
await removeTree(home);

process.stdout.write(
  JSON.stringify({
    fresh: [made.fresh, second.fresh, third.fresh],
    files: await isThere(join(made.path, "a")),
    removed,
    trash: await readdir(join(bench.stateDir, "work/.trash")),
    home: await isThere(home),
  }),
);
