import { expect, test } from "bun:test";
import { isAllowedModel } from "../../src/gateway/allowed-model.ts";
import { PRICES } from "../../src/gateway/prices.ts";

test.each([
  ["claude-opus-5-5", "claude-opus-5-5", true],
  ["claude-opus-5-5", "claude-opus-5-5-20261001", true],
  ["claude-opus-5-5[1m]", "claude-opus-5-5", true],
  ["claude-opus-5-5", "claude-haiku-5-5", true],
  ["claude-opus-5-5", "claude-haiku-4-5-20251001", true],
  ["claude-opus-5-5", "claude-fable-5-2", false],
  ["claude-opus-5-5", "claude-opus-5-5-fast", false],
  ["claude-opus-5", "claude-opus-5-5", false],
  ["claude-haiku-5-5", "claude-opus-5-5", false],
  ["sonnet", "claude-sonnet-5-5", true],
  ["opusplan", "claude-sonnet-5-5", true],
  ["sonnet", "claude-opus-5-5", false],
  ["default", "claude-opus-5-5", true],
  ["my-own-model", "my-own-model", true],
  ["my-own-model", "claude-opus-5-5", false],
  [null, "claude-opus-5-5", true],
  [null, "claude-3-opus-20240229", false],
  [null, "", false],
])("a run of %p asking for %s: %p", (own, asked, isAllowed) => {
  expect(isAllowedModel(PRICES, own, asked)).toBe(isAllowed);
});
