// Text with characters that do not show: terminal colours are taken out, other control characters become their pictures
// (U+2400 and on), so that nothing hides in a line. Line breaks and tabs stay.

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const TERMINAL_COLOURS = /\u001b\[[\d;:]*m/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f]/g;

export const printable = (text: string): string =>
  text
    .replace(TERMINAL_COLOURS, '')
    .replaceAll('\r\n', '\n')
    .replace(CONTROLS, (control) =>
      control === '\u007f' ? '\u2421' : String.fromCharCode(0x2400 + control.charCodeAt(0)),
    );

/** Not more than so many characters, and not cut between the two halves of one. */
export const clip = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most).replace(/[\ud800-\udbff]$/, '')}…` : text;
