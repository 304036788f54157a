import { expect, test } from "bun:test";
import { watchPauseFile } from "../../src/main/pause-file.ts";

/** What a look finds: whether the file is there, and whether somebody saw it since the last look. */
type Look = readonly [isOn: boolean, wasSeen: boolean];

test.each<[string, readonly Look[], readonly boolean[]]>([
  [
    "that comes and goes",
    [
      [false, false],
      [true, true],
      [true, true],
      [false, false],
    ],
    [true, false],
  ],
  [
    "that came and went between two looks and was seen",
    [
      [false, false],
      [false, true],
      [false, false],
    ],
    [true, false],
  ],
  [
    "that nobody saw",
    [
      [false, false],
      [false, false],
    ],
    [],
  ],
  [
    "that went just after somebody saw it",
    [
      [true, true],
      [false, true],
      [false, false],
    ],
    [true, false],
  ],
])("a pause file %s is told once each way", async (_name, looks, expected) => {
  const end = new AbortController();
  const told: boolean[] = [];
  let at = -1;
  const look = (): Look => looks[Math.min(at, looks.length - 1)] ?? [false, false];

  await watchPauseFile(
    {
      isOn: () => {
        at += 1;
        if (at === looks.length - 1) queueMicrotask(() => end.abort());
        return look()[0];
      },
      wasSeen: () => look()[1],
    },
    {
      wasOn: false,
      changed: async (isOn) => void told.push(isOn),
      failed: (error) => expect(error).toBeNull(),
      signal: end.signal,
    },
  );

  expect(told).toEqual([...expected]);
});
