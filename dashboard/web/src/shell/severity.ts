// How bad an alert is: the words that people give the label `severity`, as three.

export const SEVERITIES = ['critical', 'warning', 'info'] as const;
export type Severity = (typeof SEVERITIES)[number];

const CRITICAL = /^(critical|crit|page|error|fatal|emergency|major|high|p1|disaster)$/i;
const INFO = /^(info|informational|information|none|notice|debug|low|ok|minor|p[45])$/i;

/** What has none, or one of their own, is a warning. */
export function severityOf({ severity = '' }: Readonly<Record<string, string>>): Severity {
  return CRITICAL.test(severity) ? 'critical' : INFO.test(severity) ? 'info' : 'warning';
}

export const worstOf = (all: readonly Severity[]): Severity =>
  SEVERITIES.find((severity) => all.includes(severity)) ?? 'info';
