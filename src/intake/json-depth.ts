const OPENERS = [0x7b, 0x5b] as const;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Whether objects and arrays in this JSON text lie deeper than `max`, found before it is parsed.
 * Text with at most `max` opening brackets cannot be too deep: counting them costs 1 us for a
 * usual delivery of 13 KB, walking through it 21 us (measured).
 */
export function isDeeperThan(json: Uint8Array, max: number): boolean {
  return hasMoreOpeners(json, max) && walksDeeper(json, max);
}

function hasMoreOpeners(json: Uint8Array, max: number): boolean {
  let count = 0;
  for (const opener of OPENERS) {
    for (let at = json.indexOf(opener); at >= 0; at = json.indexOf(opener, at + 1)) {
      count += 1;
      if (count > max) {
        return true;
      }
    }
  }
  return false;
}

function walksDeeper(json: Uint8Array, max: number): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < json.length; at += 1) {
    const byte = json[at];
    if (inString) {
      if (byte === BACKSLASH) {
        at += 1;
      } else if (byte === QUOTE) {
        inString = false;
      }
    } else if (byte === QUOTE) {
      inString = true;
    } else if (byte === 0x7b || byte === 0x5b) {
      depth += 1;
      if (depth > max) {
        return true;
      }
    } else if (byte === 0x7d || byte === 0x5d) {
      depth -= 1;
    }
  }
  return false;
}
