import type { Command } from "commander";
import { type Delivery, DeliveryList, readAnswer } from "./answers.ts";
import { asApiCommand, pageQuery, printNext, withPages } from "./api-command.ts";
import type { CommandSetting } from "./context.ts";
import { type Column, printTable } from "./table.ts";
import { toText, toTime } from "./text.ts";

/** `deliveries list`. */
export function addDeliveriesCommands(program: Command, setting: CommandSetting): void {
  const deliveries = program.command("deliveries").description("what the forge has sent");
  asApiCommand(
    withPages(deliveries.command("list").description("list deliveries, newest first")),
    setting,
    (_args, options) => ({
      ask: (api) => api.get(`/api/v1/deliveries${pageQuery(options)}`),
      show: (context, answer) => {
        const page = readAnswer(DeliveryList, answer);
        printTable(context, COLUMNS, page.deliveries, "no deliveries");
        printNext(context, page.next);
      },
    }),
  );
}

const COLUMNS: readonly Column<Delivery>[] = [
  { title: "RECEIVED", text: (delivery) => toTime(delivery.received_at) },
  { title: "EVENT", text: (delivery) => toText(delivery.event) },
  { title: "ITEM", text: itemOf },
  { title: "SENDER", text: (delivery) => toText(delivery.sender) },
  { title: "STATUS", text: (delivery) => toText(delivery.status) },
  { title: "DELIVERY", text: (delivery) => toText(delivery.id) },
  { title: "REASON", text: (delivery) => toText(delivery.reason) },
];

function itemOf({ repo, number }: Delivery): string {
  const suffix = number === null || number === undefined ? "" : `#${number}`;
  return repo === null || repo === undefined ? "-" : toText(repo + suffix);
}
