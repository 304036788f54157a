/** The line that ends every text we write, by which it is found again. Two hyphens would end the comment early. */
function hiddenLine(key: string): string {
  return `<!-- claude-hooks:${key.replaceAll("--", "-%2D")} -->`;
}

/** A text with its hidden line. */
export function withHiddenLine(body: string, key: string): string {
  return `${body.trimEnd()}\n\n${hiddenLine(key)}`;
}

/** Whether this text carries the key and was written by this account: anybody could copy the line. */
export function isOurs(
  text: { readonly body: string; readonly author: { readonly login: string } },
  key: string,
  login: string,
): boolean {
  return (
    text.author.login.toLowerCase() === login.toLowerCase() && text.body.includes(hiddenLine(key))
  );
}
