/** A page of a list, newest first; `next` goes into `before` of the following call. */
export interface Page<T> {
  readonly rows: readonly T[];
  readonly next: string | null;
}
