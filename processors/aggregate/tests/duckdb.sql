-- What `aggregate` should make of points, said in SQL. Times are milliseconds; `batches` are in the order in which they were logged.
-- Tables: cases(seed, by_host, by_route, lateness, cumulative, over_time), batches(seed, batch, now),
-- points(seed, batch, sort, host, route, start, time, value),
-- hists(..., counts, bounds, sum), exps(..., scale, zero, "offset", counts, sum): buckets of positive values.

CREATE MACRO window_of(time) AS ((time + 59999) // 60000) * 60000;

-- Late: which points came when their window, or one after it, was closed already. Windows are looked at before and after each batch.
CREATE TABLE touches AS
SELECT a.seed, a.batch, window_of(a.time) AS win, b.now, max(a.time) AS newest
FROM (SELECT seed, batch, time FROM points UNION ALL SELECT seed, batch, time FROM hists
      UNION ALL SELECT seed, batch, time FROM exps) a
JOIN batches b ON b.seed = a.seed AND b.batch = a.batch
GROUP BY ALL;

CREATE TABLE looks AS
SELECT seed, 2 * batch AS look, now, batch - 1 AS through FROM batches
UNION ALL SELECT seed, 2 * batch + 1, now, batch FROM batches;

CREATE TABLE closed AS
WITH seen AS (
    SELECT *, max(newest_there) OVER (PARTITION BY seed, look) AS newest
    FROM (SELECT l.seed, l.look, l.now, t.win, max(t.now) AS touched, max(t.newest) AS newest_there
          FROM looks l JOIN touches t ON t.seed = l.seed AND t.batch <= l.through
          GROUP BY ALL))
SELECT seed, look, max(win) AS win
FROM seen JOIN cases USING (seed)
WHERE CASE WHEN newest >= win + lateness THEN win + lateness ELSE greatest(win + lateness, touched) + 20000 END <= now
GROUP BY ALL;

CREATE TABLE limits AS
SELECT b.seed, b.batch, coalesce(max(c.win), -1) AS closed
FROM batches b LEFT JOIN closed c ON c.seed = b.seed AND c.look <= 2 * b.batch
GROUP BY ALL;

CREATE MACRO labels(by_host, by_route, host, route) AS
    '{' || concat_ws(',', CASE WHEN by_host THEN '"host":' || host END, CASE WHEN by_route THEN '"route":' || route END) || '}';

CREATE TABLE began AS SELECT seed, min_by(now, batch) AS began FROM batches GROUP BY seed;

-- Numbers: what each point adds. A counter adds what it grew by since the point before it; a new start time, or a value that fell, is
-- a reset; of the first point nothing is known, unless it began while it was watched.
CREATE TABLE steps AS
SELECT p.*, window_of(time) AS win, labels(by_host, by_route, host, route) AS labels, cumulative, over_time,
    sort IN ('Counter', 'Falling') AS counter, sort IN ('Gauge', 'UpDown') AS level,
    CASE WHEN sort NOT IN ('Counter', 'Falling') THEN value
         WHEN lag(time) OVER series IS NULL THEN CASE WHEN start >= began THEN value ELSE 0 END
         WHEN lag(start) OVER series <> start OR value < lag(value) OVER series THEN value
         ELSE value - lag(value) OVER series END AS step
FROM points p JOIN cases USING (seed) JOIN began USING (seed) JOIN limits l ON l.seed = p.seed AND l.batch = p.batch
WHERE window_of(time) > closed
WINDOW series AS (PARTITION BY p.seed, sort, host, route ORDER BY time);

CREATE TABLE by_series AS
SELECT seed, sort, labels, win, host, route, counter, level, cumulative, over_time, count(*) AS points,
    CASE WHEN counter THEN sum(step) WHEN over_time = 'max' THEN max(step) WHEN over_time = 'avg' THEN avg(step)
         ELSE max_by(step, time) END AS made,
    sum(step) AS whole, max(time) AS time, max_by(value, time) AS last
FROM steps GROUP BY seed, sort, labels, win, host, route, counter, level, cumulative, over_time;

-- The values that are aggregated: those of each point, or one a series.
CREATE TABLE vals AS
SELECT seed, sort, labels, win, made AS value, points, time, CASE WHEN counter THEN last ELSE made END AS last
FROM by_series WHERE counter OR over_time IS NOT NULL
UNION ALL
SELECT seed, sort, labels, win, step, 1, time, step FROM steps WHERE NOT counter AND over_time IS NULL;

CREATE TABLE sums AS
SELECT seed, sort, labels, win, any_value(level) AS level, any_value(cumulative) AS cumulative, sum(points) AS count,
    sum(CASE WHEN level OR counter OR over_time IS NOT NULL THEN made ELSE whole END) AS sum
FROM by_series GROUP BY seed, sort, labels, win;

CREATE TABLE expected AS
SELECT seed, sort || '.' || f.function AS name, labels, win, f.value, f.within, NULL::VARCHAR AS shape
FROM (
    SELECT seed, sort, labels, win,
        unnest([{function: 'avg', value: avg(value), within: 1e-9}, {function: 'max', value: max(value), within: 1e-9},
                {function: 'min', value: min(value), within: 1e-9}, {function: 'last', value: max_by(last, time), within: 1e-9},
                {function: 'p90', value: quantile_disc(value, 0.9), within: abs(quantile_disc(value, 0.9)) * 0.0111}]) AS f
    FROM vals GROUP BY seed, sort, labels, win
    UNION ALL
    SELECT seed, sort, labels, win,
        unnest([{function: 'sum', value: CASE WHEN cumulative AND NOT level THEN sum(sum) OVER so_far ELSE sum END, within: 1e-9},
                {function: 'count', value: CASE WHEN cumulative THEN sum(count) OVER so_far ELSE count END, within: 0},
                {function: 'rate', value: CASE WHEN level THEN NULL ELSE sum / 60 END, within: 1e-9}])
    FROM sums WINDOW so_far AS (PARTITION BY seed, sort, labels ORDER BY win))
WHERE f.value IS NOT NULL;

-- `merge` of numbers, seen at scale 0: bucket i holds (2^i, 2^(i + 1)].
INSERT INTO expected
SELECT seed, sort || '.merge', labels, win, NULL, NULL,
    'count ' || sum(n) || ' zero ' || coalesce(sum(n) FILTER (WHERE side = 0), 0)
    || ' positive ' || coalesce(string_agg(low || ':' || n, ' ' ORDER BY low) FILTER (WHERE side = 1), '')
    || ' negative ' || coalesce(string_agg(low || ':' || n, ' ' ORDER BY low) FILTER (WHERE side = -1), '')
FROM (SELECT seed, sort, labels, win, sign(value) AS side,
          CASE WHEN value = 0 THEN 0 ELSE ceil(log2(abs(value)))::INT - 1 END AS low, count(*) AS n
      FROM vals GROUP BY ALL)
GROUP BY ALL;

-- Histograms: what each adds, as above.
CREATE TABLE hist_steps AS
SELECT p.seed, sort, win, labels, cumulative, row_number() OVER () AS id, bounds,
    CASE WHEN before IS NULL THEN counts ELSE list_transform(counts, lambda c, i: c - before[i]) END AS counts,
    sum - coalesce(sum_before, 0) AS sum
FROM (
    SELECT p.*, window_of(time) AS win, labels(by_host, by_route, host, route) AS labels, cumulative,
        CASE WHEN sort = 'HistDelta' THEN NULL
             WHEN lag(time) OVER series IS NULL THEN CASE WHEN start >= began THEN NULL ELSE counts END
             WHEN lag(start) OVER series = start THEN lag(counts) OVER series END AS before,
        CASE WHEN sort = 'HistDelta' THEN NULL
             WHEN lag(time) OVER series IS NULL THEN CASE WHEN start >= began THEN NULL ELSE sum END
             WHEN lag(start) OVER series = start THEN lag(sum) OVER series END AS sum_before
    FROM hists p JOIN cases USING (seed) JOIN began USING (seed) JOIN limits l ON l.seed = p.seed AND l.batch = p.batch
    WHERE window_of(time) > closed
    WINDOW series AS (PARTITION BY p.seed, sort, host, route ORDER BY time)) p;

-- For each window that has something, the steps of that window, or of all up to it.
CREATE TABLE hist_parts AS
SELECT o.seed, o.sort, o.labels, o.win, h.id, h.bounds, h.counts, h.sum, running
FROM (SELECT DISTINCT seed, sort, labels, win, cumulative FROM hist_steps) o
CROSS JOIN (SELECT unnest([false, true]) AS running)
JOIN hist_steps h ON h.seed = o.seed AND h.sort = o.sort AND h.labels = o.labels
    AND (h.win = o.win OR (running AND o.cumulative AND h.win < o.win));

CREATE TABLE hist_merged AS
WITH cells AS (
    SELECT seed, sort, labels, win, running, id, unnest(list_zip(counts, bounds)) AS cell FROM hist_parts),
whole AS (
    SELECT seed, sort, labels, win, running, count(*) AS parts, sum(list_sum(counts)) AS count, sum(sum) AS sum
    FROM hist_parts GROUP BY ALL),
shared AS (
    SELECT c.seed, c.sort, c.labels, c.win, c.running, cell[2] AS bound
    FROM cells c JOIN whole w USING (seed, sort, labels, win, running)
    WHERE cell[2] IS NOT NULL GROUP BY ALL HAVING count(*) = any_value(parts)),
below AS (
    SELECT s.seed, s.sort, s.labels, s.win, s.running, s.bound, sum(cell[1]) FILTER (WHERE cell[2] <= s.bound) AS below
    FROM shared s JOIN cells c USING (seed, sort, labels, win, running) GROUP BY ALL)
SELECT w.*, coalesce(list(bound ORDER BY bound) FILTER (WHERE bound IS NOT NULL), []) AS bounds,
    coalesce(list(coalesce(below, 0) ORDER BY bound) FILTER (WHERE bound IS NOT NULL), []) AS below
FROM whole w LEFT JOIN below USING (seed, sort, labels, win, running)
GROUP BY ALL;

INSERT INTO expected
SELECT seed, sort || '.merge', labels, win, NULL, NULL,
    'count ' || count::BIGINT || ' sum ' || sum::BIGINT || ' bounds ' || bounds::VARCHAR || ' counts '
    || list_transform(list_append(below, count), lambda c, i: (c - CASE WHEN i = 1 THEN 0 ELSE below[i - 1] END)::BIGINT)::VARCHAR
FROM hist_merged WHERE running;

-- Numbers about histograms; p50 as Prometheus defines histogram_quantile.
INSERT INTO expected
SELECT seed, sort || '.' || f.function, labels, win, f.value, 1e-9, NULL
FROM (
    SELECT seed, sort, labels, win, unnest([{function: 'count', value: count::DOUBLE}, {function: 'sum', value: sum::DOUBLE}]) AS f
    FROM hist_merged WHERE running
    UNION ALL
    SELECT seed, sort, labels, win,
        unnest([{function: 'avg', value: sum / greatest(count, 1)}, {function: 'rate', value: count / 60},
                {function: 'p50', value: CASE
                    WHEN count = 0 OR len(bounds) = 0 THEN NULL
                    WHEN place IS NULL THEN bounds[-1]
                    ELSE lower + (bounds[place] - lower) * (count / 2 - before) / (below[place] - before) END}])
    FROM (SELECT *, CASE WHEN place > 1 THEN bounds[place - 1] ELSE 0 END AS lower, CASE WHEN place > 1 THEN below[place - 1] ELSE 0 END AS before
          FROM (SELECT *, list_position(list_transform(below, lambda c: c >= count / 2), true) AS place FROM hist_merged)
          WHERE NOT running))
WHERE f.value IS NOT NULL;

-- Exponential histograms; of one series, within one stretch, scales only become coarser.
CREATE TABLE exp_steps AS
SELECT p.*, row_number() OVER () AS id FROM (
    SELECT p.*, window_of(time) AS win, labels(by_host, by_route, host, route) AS labels, cumulative,
        CASE WHEN sort = 'ExpDelta' THEN NULL
             WHEN lag(time) OVER series IS NULL THEN CASE WHEN start >= began THEN NULL ELSE own END
             WHEN lag(start) OVER series = start THEN lag(own) OVER series END AS before
    FROM (SELECT *, {scale: scale, zero: zero, first: "offset", counts: counts, sum: sum} AS own FROM exps) p
    JOIN cases USING (seed) JOIN began USING (seed) JOIN limits l ON l.seed = p.seed AND l.batch = p.batch
    WHERE window_of(time) > closed
    WINDOW series AS (PARTITION BY p.seed, sort, host, route ORDER BY time)) p;

-- What is there, and with a minus what was there before.
CREATE TABLE exp_terms AS
SELECT seed, sort, labels, win, cumulative, 1 AS sign, unnest(own) FROM exp_steps
UNION ALL SELECT seed, sort, labels, win, cumulative, -1, unnest(before) FROM exp_steps WHERE before IS NOT NULL;

CREATE TABLE exp_parts AS
SELECT o.seed, o.sort, o.labels, o.win, running, e.sign, e.scale, e.zero, e.first, e.counts, e.sum,
    min(e.scale) OVER (PARTITION BY o.seed, o.sort, o.labels, o.win, running) AS coarsest
FROM (SELECT DISTINCT seed, sort, labels, win, cumulative FROM exp_terms) o
CROSS JOIN (SELECT unnest([false, true]) AS running)
JOIN exp_terms e ON e.seed = o.seed AND e.sort = o.sort AND e.labels = o.labels
    AND (e.win = o.win OR (running AND o.cumulative AND e.win < o.win));

CREATE TABLE exp_buckets AS
SELECT seed, sort, labels, win, running, coarsest, floor((first + i - 1) / pow(2, scale - coarsest))::INT AS low, sum(sign * counts[i])::BIGINT AS n
FROM (SELECT *, unnest(range(1, len(counts) + 1)) AS i FROM exp_parts) GROUP BY ALL HAVING n <> 0;

CREATE TABLE exp_merged AS
SELECT seed, sort, labels, win, running, any_value(coarsest) AS scale, sum(sign * zero)::BIGINT AS zero,
    sum(sign * (zero + coalesce(list_sum(counts), 0)))::BIGINT AS count, sum(sign * sum) AS sum
FROM exp_parts GROUP BY ALL;

INSERT INTO expected
SELECT m.seed, m.sort || '.merge', m.labels, m.win, NULL, NULL,
    'count ' || any_value(count) || ' sum ' || any_value(sum)::BIGINT || ' scale ' || any_value(scale) || ' zero ' || any_value(zero)
    || ' positive ' || coalesce(string_agg(low || ':' || n, ' ' ORDER BY low), '')
FROM exp_merged m LEFT JOIN exp_buckets b ON b.seed = m.seed AND b.sort = m.sort AND b.labels = m.labels AND b.win = m.win AND b.running
WHERE m.running GROUP BY m.seed, m.sort, m.labels, m.win;

INSERT INTO expected
SELECT seed, sort || '.' || f.function, labels, win, f.value, 1e-9, NULL
FROM (
    SELECT seed, sort, labels, win, unnest([{function: 'count', value: count::DOUBLE}, {function: 'sum', value: sum::DOUBLE}]) AS f
    FROM exp_merged WHERE running
    UNION ALL
    SELECT seed, sort, labels, win, unnest([{function: 'avg', value: sum / greatest(count, 1)}, {function: 'rate', value: count / 60}])
    FROM exp_merged WHERE NOT running);

-- p50 lies in the bucket with the middle value: anywhere in it is right.
INSERT INTO expected
SELECT seed, sort || '.p50', labels, win, CASE WHEN low IS NULL THEN 0 ELSE (lower + upper) / 2 END,
    CASE WHEN low IS NULL THEN 0 ELSE (upper - lower) / 2 * 1.000001 END, NULL
FROM (
    SELECT *, pow(2, low * pow(2, -scale)) AS lower, pow(2, (low + 1) * pow(2, -scale)) AS upper
    FROM (
        SELECT m.seed, m.sort, m.labels, m.win, m.scale, low,
            m.count, coalesce(sum(n) OVER (PARTITION BY m.seed, m.sort, m.labels, m.win ORDER BY low NULLS FIRST), 0) AS reached
        FROM exp_merged m JOIN (
            SELECT seed, sort, labels, win, low, n FROM exp_buckets WHERE NOT running
            UNION ALL SELECT seed, sort, labels, win, NULL, zero FROM exp_merged WHERE NOT running) b
        ON b.seed = m.seed AND b.sort = m.sort AND b.labels = m.labels AND b.win = m.win
        WHERE NOT m.running)
    WHERE count > 0 AND reached >= ceil(count * 0.5)
    QUALIFY row_number() OVER (PARTITION BY seed, sort, labels, win ORDER BY low NULLS FIRST) = 1);

INSERT INTO expected
SELECT seed, 'too_late', '{}', 0, count(*), 0, NULL
FROM (SELECT seed, batch, time FROM points UNION ALL SELECT seed, batch, time FROM hists UNION ALL SELECT seed, batch, time FROM exps)
JOIN limits USING (seed, batch) WHERE window_of(time) <= closed GROUP BY ALL;

SELECT seed, name, labels, win, value::DOUBLE, within::DOUBLE, shape FROM expected;
