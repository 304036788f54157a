import { Transform } from "node:stream";

const NEWLINE = 0x0a;

/**
 * Passes bytes on as they are until more than `bytesMax` of them came without a newline: whoever
 * reads lines keeps an unfinished one in memory. Then `tooLong` is called once, and what still comes
 * is dropped.
 */
export function boundedLines(bytesMax: number, tooLong: () => void): Transform {
  let pending = 0;
  let isOver = false;
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      const last = piece.lastIndexOf(NEWLINE);
      const longest = pending + (last < 0 ? piece.length : piece.indexOf(NEWLINE));
      pending = last < 0 ? longest : piece.length - last - 1;
      if (!isOver && longest > bytesMax) {
        isOver = true;
        tooLong();
      }
      if (isOver) done();
      else done(null, piece);
    },
  });
}
