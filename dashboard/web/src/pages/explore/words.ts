// Keywords, placeholders, and the functions worth a line of explanation.

import type { Option } from './complete';

export const PLACEHOLDERS: Option[] = (
  [
    [
      '$range',
      'rows of the page\u2019s time range',
      'A condition on ts. With it, the query follows the range and stays live.',
    ],
    ['$from', 'start of the range', ''],
    ['$to', 'end of the range', ''],
    ['$step', 'width of a bucket', 'An interval that fits the range and the chart: date_bin($step, ts).'],
    ['$step_seconds', 'the step in seconds', 'For rates: sum(increase(value)) / $step_seconds.'],
  ] as const
).map(([label, detail, info]) => ({ label, apply: label, kind: 'placeholder', detail, info }));

export const KEYWORDS: Option[] =
  'SELECT DISTINCT FROM WHERE AND OR NOT IN IS NULL LIKE ILIKE BETWEEN GROUP BY HAVING ORDER ASC DESC LIMIT OFFSET JOIN LEFT INNER CROSS ON USING AS WITH UNION ALL EXCEPT INTERSECT CASE WHEN THEN ELSE END CAST OVER PARTITION FILTER INTERVAL TIMESTAMP EXISTS EXPLAIN TRUE FALSE'
    .split(' ')
    .map((label) => ({ label, apply: label, kind: 'keyword', detail: '' }));

export const FUNCTIONS: Option[] = (
  [
    ['date_bin', '(interval, time)', 'The start of the bucket a time falls into.'],
    ['increase', '(value)', 'What each point of a counter or histogram added.'],
    [
      'counter_delta',
      '(value, previous [, temporality])',
      'Increase of a counter since its previous point; a reset gives the new value.',
    ],
    ['histogram_quantile', '(q, bucket_counts, explicit_bounds)', 'Quantile over all rows of a group of histograms.'],
    [
      'exp_histogram_quantile',
      '(q, scale, zero_count, zero_threshold, positive_offset, positive_bucket_counts, negative_offset, negative_bucket_counts)',
      'Quantile over all rows of a group of exponential histograms.',
    ],
    ['approx_percentile_cont', '(value, q)', 'Approximate quantile of plain values.'],
    ['json_as_text', '(json, key, \u2026)', 'A member of attributes as text.'],
    ['json_get_int', '(json, key, \u2026)', 'A member of attributes as an integer.'],
    ['json_get_float', '(json, key, \u2026)', 'A member of attributes as a double.'],
    ['json_get_bool', '(json, key, \u2026)', 'A member of attributes as a boolean.'],
    ['json_contains', '(json, key, \u2026)', 'Whether attributes have the member.'],
    ['lag', '(value) OVER (\u2026)', 'The previous row\u2019s value.'],
    ['count', '(*)', 'Rows.'],
    ['sum', '(value)', ''],
    ['avg', '(value)', ''],
    ['min', '(value)', ''],
    ['max', '(value)', ''],
    ['median', '(value)', ''],
    ['stddev', '(value)', ''],
    ['first_value', '(value ORDER BY \u2026)', ''],
    ['last_value', '(value ORDER BY \u2026)', ''],
    ['coalesce', '(a, b, \u2026)', 'The first that is not NULL.'],
    ['date_trunc', "('hour', time)", ''],
    ['now', '()', ''],
    ['lower', '(text)', ''],
    ['contains', '(text, part)', 'Whether a text has a part.'],
    ['regexp_like', '(text, pattern)', ''],
    ['split_part', '(text, separator, n)', ''],
  ] as const
).map(([label, detail, info]) => ({ label, apply: `${label}(`, kind: 'function', detail, info }));
