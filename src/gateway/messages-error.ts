import { GATEWAY_ERRORS } from "../ports/gateway.ts";

/** An error in the shape of the Messages API, as the CLI shows it to nobody but our log. */
export function messagesError(
  status: number,
  type: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return Response.json({ type: "error", error: { type, message } }, { status, headers });
}

/** The refusal of a spent budget. Measured with the CLI 2.1.330: 402 is asked once, 400 six times, 403 reads as a bad login. */
export function budgetSpent(usd: number, usdLimit: number): Response {
  return outOfBudget(`${usd.toFixed(2)} of ${usdLimit.toFixed(2)} USD`);
}

/** The same with other words for what is spent. */
export function outOfBudget(words: string): Response {
  return messagesError(402, "billing_error", `${GATEWAY_ERRORS.budgetSpent} (${words})`, {
    "x-should-retry": "false",
  });
}
