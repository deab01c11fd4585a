/** What API tokens look like wherever they turn up by mistake: nobody is to find one in a log or on a screen. */

const tokenText = /msco_[0-9a-z]{16,}(_[0-9a-z]*)?/gi;

/** The text with every token in it made unreadable. */
export function hideTokens(text: string): string {
  return text.replace(tokenText, "msco_…");
}
