/** What one jailed command may touch; everything else of the host is out of its sight. */
export interface JailSpec {
  /** Host path of the clone; writable, and the working directory. */
  readonly clone: string;
  /** Host path of the session's directory; writable, and HOME and CLAUDE_CONFIG_DIR inside. */
  readonly home: string;
  /** Unix socket of the model gateway on the host, or null for a command that calls no model. */
  readonly gatewaySocket: string | null;
  /** Unix socket of the allow-listing egress proxy on the host, or null for no network at all. */
  readonly egressSocket: string | null;
  /** Further host paths (tool chains), mounted read-only at the same place. */
  readonly read: readonly string[];
  /** The whole environment of the command besides what the jail sets itself (HOME, PATH, proxies). */
  readonly env: Readonly<Record<string, string>>;
}

/** A command line that runs inside the jail. */
export interface JailedCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /**
   * Where the clone, the session's directory and the gateway are as seen from inside.
   * `gatewayUrl` is null without a sandbox: the door's own url holds then.
   */
  readonly inside: {
    readonly clone: string;
    readonly home: string;
    readonly gatewayUrl: string | null;
  };
}

/** Whether the walls hold on this host; else what is wrong and what to do. */
export type JailCheck =
  | { readonly ok: true }
  | { readonly ok: false; readonly problem: string; readonly remedy: string };

/** Puts every process an agent starts behind walls. */
export interface Jail {
  readonly mode: "bwrap" | "none";
  /**
   * `NAME=value` in the environment of every process that this jail has started, and of all they
   * start: how one is known again that has lost its parents.
   */
  readonly tag: string;
  /** Proves on this host that a jailed command starts and is confined; never assumes it. */
  check(): Promise<JailCheck>;
  /**
   * Wraps `file args` so that it runs inside the jail described by `spec`. Throws when the clone, its
   * `.git` or the session's directory is a link: nobody knows what a mount would show.
   */
  command(spec: JailSpec, file: string, args: readonly string[]): JailedCommand;
}

/** Names a process for good: a pid alone is reused by the kernel. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat: clock ticks since boot. */
  readonly startTicks: string;
  /** /proc/sys/kernel/random/boot_id of the host. */
  readonly bootId: string;
}

/** Looks at and ends processes of this host. */
export interface Processes {
  identify(pid: number): ProcessIdentity | null;
  isAlive(process: ProcessIdentity): boolean;
  /** Ends the process and all it started; resolves when it is gone. Does nothing if it is not the same process any more. */
  end(process: ProcessIdentity): Promise<void>;
  /** Ends every process of this host that was started with `tag` in its environment; resolves with how many when none is left. */
  endTagged(tag: string): Promise<number>;
}
