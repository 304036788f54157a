import type { CliContext } from "./context.ts";
import { styled, styledState } from "./style.ts";

/** One column: its title, and its text for a row. */
export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
}

/** Prints rows in aligned columns under a line of titles, or `empty` when there are none. */
export function printTable<Row>(
  context: CliContext,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  empty: string,
): void {
  if (rows.length === 0) {
    context.print(`${empty}\n`);
    return;
  }
  const titles = columns.map((column) => column.title);
  const cells = rows.map((row) => columns.map((column) => column.text(row)));
  const widths = titles.map((title, index) =>
    Math.max(...[title, ...cells.map((line) => line[index] ?? "")].map(widthOf)),
  );
  context.print(`${joinCells(titles, widths, (cell) => styled(context, "bold", cell))}\n`);
  for (const line of cells) {
    context.print(`${joinCells(line, widths, (cell) => styledState(context, cell))}\n`);
  }
}

/** Prints `name  value` lines, the values aligned. */
export function printFields(
  context: CliContext,
  fields: readonly (readonly [name: string, value: string])[],
): void {
  const width = Math.max(...fields.map(([name]) => widthOf(name)));
  for (const [name, value] of fields) {
    const label = styled(context, "bold", name.padEnd(width));
    context.print(`${label}  ${styledState(context, value)}\n`);
  }
}

function joinCells(
  cells: readonly string[],
  widths: readonly number[],
  style: (cell: string) => string,
): string {
  return cells
    .map((cell, index) => {
      const missing = index === cells.length - 1 ? 0 : (widths[index] ?? 0) - widthOf(cell);
      return style(cell) + " ".repeat(Math.max(0, missing));
    })
    .join("  ");
}

function widthOf(text: string): number {
  return Bun.stringWidth(text);
}
