import type { Command } from "commander";
import { type Effect, type Item, ItemDetail, ItemList, ItemReset, readAnswer } from "./answers.ts";
import { asApiCommand, pageQuery, printNext, withPages } from "./api-command.ts";
import type { CliContext, CommandSetting } from "./context.ts";
import { itemPath, parseItem } from "./item-reference.ts";
import { RUN_COLUMNS } from "./runs.ts";
import { SESSION_COLUMNS } from "./sessions.ts";
import { styled } from "./style.ts";
import { type Column, printFields, printTable } from "./table.ts";
import { toText, toTime, toUsd } from "./text.ts";

/** `items list|show|park|continue|reset`: the board of work items, everything known of one, its runs held or let go, and its sessions forgotten. */
export function addItemsCommands(program: Command, setting: CommandSetting): void {
  const items = program.command("items").description("work items");
  asApiCommand(
    withPages(items.command("list").description("list work items")),
    setting,
    (_args, options) => ({
      ask: (api) => api.get(`/api/v1/items${pageQuery(options)}`),
      show: (context, answer) => {
        const page = readAnswer(ItemList, answer);
        printTable(context, ITEM_COLUMNS, page.items, "no work items");
        printNext(context, page.next);
      },
    }),
  );
  asApiCommand(
    items.command("show").description("show one work item").argument("<owner/repo#n>"),
    setting,
    ([reference = ""]) => {
      const path = itemPath(parseItem(reference));
      return { ask: (api) => api.get(path), show: showItem };
    },
  );
  asApiCommand(
    items
      .command("reset")
      .description("forget all agents' sessions of the work item: their next runs start afresh")
      .argument("<owner/repo#n>"),
    setting,
    ([reference = ""]) => ({
      ask: (api) => api.post(`${itemPath(parseItem(reference))}/reset`, {}),
      show: (context, answer) => {
        const { sessions } = readAnswer(ItemReset, answer);
        const count = sessions === 1 ? "1 session" : `${sessions} sessions`;
        context.print(
          sessions === 0 ? `no sessions of ${reference}\n` : `forgot ${count} of ${reference}\n`,
        );
      },
    }),
  );
  addHoldCommands(items, setting);
}

/** `park` and `continue`: an operator's word about one work item. */
function addHoldCommands(items: Command, setting: CommandSetting): void {
  for (const [verb, description, said] of [
    ["park", "stop the runs of the work item until it is continued", "parked"],
    ["continue", "let the work item go on, with its limits counted anew", "continued"],
  ] as const) {
    asApiCommand(
      items.command(verb).description(description).argument("<owner/repo#n>"),
      setting,
      ([reference = ""]) => ({
        ask: (api) => api.post(`${itemPath(parseItem(reference))}/${verb}`, {}),
        show: (context) => context.print(`${said} ${reference}\n`),
      }),
    );
  }
}

const ITEM_COLUMNS: readonly Column<Item>[] = [
  { title: "ITEM", text: (item) => toText(`${item.repo}#${item.number}`) },
  { title: "PULL", text: (item) => pullOf(item) },
  { title: "STATE", text: (item) => toText(item.state) },
  { title: "DECISION", text: (item) => toText(item.decision) },
  { title: "RETRY AT", text: (item) => toTime(item.retry_at) },
  { title: "COST", text: (item) => toUsd(item.usd) },
  { title: "REASON", text: (item) => toText(item.reason) },
];

const EFFECT_COLUMNS: readonly Column<Effect>[] = [
  { title: "TIME", text: (effect) => toTime(effect.at) },
  { title: "TOOL", text: (effect) => toText(effect.tool) },
  { title: "STATE", text: (effect) => toText(effect.state) },
  { title: "RUN", text: (effect) => toText(effect.run) },
  { title: "MADE", text: (effect) => toText(effect.ref) },
  { title: "TEXT", text: (effect) => toText(effect.text) },
];

function showItem(context: CliContext, answer: unknown): void {
  const item = readAnswer(ItemDetail, answer);
  printFields(context, [
    ["item", toText(`${item.repo}#${item.number}`)],
    ["pull", pullOf(item)],
    ["state", toText(item.state)],
    ["decision", toText(item.decision)],
    ["reason", toText(item.reason)],
    ["retry at", toTime(item.retry_at)],
    ["cost", toUsd(item.usd)],
  ]);
  const title = (text: string) => context.print(`\n${styled(context, "bold", text)}\n`);
  title("runs");
  printTable(context, RUN_COLUMNS, item.runs, "none");
  title("sessions");
  printTable(context, SESSION_COLUMNS, item.sessions, "none");
  title("effects");
  printTable(context, EFFECT_COLUMNS, item.effects, "none");
}

function pullOf(item: Item): string {
  return item.pull === null || item.pull === undefined ? "-" : `#${item.pull}`;
}
