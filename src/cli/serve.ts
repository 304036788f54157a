import type { Command } from "commander";
import type { CommandSetting } from "./context.ts";

/** `serve`: runs the service until it is told to stop. */
export function addServeCommand(program: Command, { context, exit }: CommandSetting): void {
  const command = program
    .command("serve")
    .description("run the service")
    .action(async () => {
      const { config }: { readonly config?: string } = command.optsWithGlobals();
      // Loaded only here: the other commands need nothing of the service.
      const { serve } = await import("../main.ts");
      exit(
        await serve({
          ...(config === undefined ? {} : { configPath: config }),
          env: { ...context.env },
        }),
      );
    });
}
