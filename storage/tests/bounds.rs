//! No statement makes values that the memory pool does not know of and the process cannot hold; and whoever asks for
//! ordinary things gets them.

use tempfile::tempdir;

use super::data::{DAY, cpu};
use super::{append, ask, lake, try_ask, try_ask_with};
use crate::{Lake, QueryErrorKind, QueryLimits};

fn small() -> (tempfile::TempDir, Lake) {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, cpu(100, DAY), 1);
    (folder, lake)
}

/// `expr` of `x`, applied `times` times to `start`. The parser goes some 20 deep.
fn nested(start: &str, expr: &str, times: usize) -> String {
    assert!(times <= 12);
    (0..times).fold(format!("SELECT {start} AS x FROM metrics LIMIT 1"), |inner, _| {
        format!("SELECT {expr} AS x FROM ({inner})")
    })
}

#[test]
fn values_that_grow_are_refused_in_time() {
    let (_folder, lake) = small();
    let of_row = "substr(attributes, 1, 14)";
    let list = "[value, value]";
    let args = |n: usize| vec!["x"; n].join(", ");
    // 60,000 characters times 400: few enough names, too large a value.
    let text = format!("'{}'", "y".repeat(60_000));
    let all = |call: &str| nested(&text, call, 2).replace("AS x FROM metrics", "AS x FROM metrics WHERE value < 50");
    let lists = format!("SELECT [{}] AS x FROM ({})", args(40), nested(&text, "x", 1));
    let long_list = nested(list, &format!("array_concat({})", args(30)), 2);
    let columns = (0..12).map(|n| format!("[{}] AS x{n}", args(10))).collect::<Vec<_>>().join(", ");
    for sql in [
        all(&vec!["x"; 20].join(" || ")),
        all(&format!("concat({})", args(20))),
        all(&format!("concat_ws({})", args(15))),
        all(&format!("array_to_string([{}], x)", args(15))),
        all(&format!("CASE WHEN true THEN concat({}) END", args(20))),
        format!("SELECT array_concat({}) FROM ({lists})", args(20)),
        format!("SELECT x || {} FROM ({lists})", vec!["x"; 20].join(" || ")),
        format!("SELECT struct({}) FROM ({lists})", args(20)),
        format!("SELECT map([{0}], [{0}]) FROM ({lists})", args(10)),
        format!("SELECT replace({of_row}, '\"', '{}') FROM metrics", "y".repeat(60_000)),
        nested(of_row, "replace(x, 'c', 'cccccccccccccccccccccccccccccccc')", 6),
        nested(of_row, "regexp_replace(x, '(.)', '\\1\\1\\1\\1\\1\\1\\1\\1', 'g')", 9),
        nested(of_row, "regexp_replace(x, '(.*)', '\\1\\1\\1\\1\\1\\1\\1\\1')", 9),
        nested(of_row, "array_to_string(string_to_array(x, 'c'), 'cccccccccccccccccccccccccccccccc')", 6),
        nested("[[value]]", "array_replace_all(array_concat(x, x), x[1], array_concat(x[1], x[1]))", 9),
        format!("SELECT levenshtein(x, reverse(x)) FROM ({})", nested(&text, "x", 1)),
        format!("SELECT l.x FROM metrics a, ({long_list}) l"),
        format!("SELECT unnest(x), x, y FROM (SELECT x, x AS y FROM ({long_list}))"),
        format!("SELECT {columns} FROM ({long_list}), metrics"),
        "SELECT CAST(NULL AS INT[2000000000])".to_owned(),
        "SELECT CAST(NULL AS INT[4000][4000][4000])".to_owned(),
        "SELECT arrow_cast(NULL, 'FixedSizeBinary(2147483647)') FROM metrics".to_owned(),
        "SELECT arrow_try_cast(value, 'FixedSizeList(2147483647 x Float64)') FROM metrics".to_owned(),
        "SELECT lag(value, 1000000000) OVER (ORDER BY ts) FROM metrics".to_owned(),
        "SELECT sum(value) OVER (ORDER BY ts ROWS BETWEEN 5 PRECEDING AND 1000000000 FOLLOWING) FROM metrics"
            .to_owned(),
    ] {
        let short = &sql[..sql.len().min(120)];
        match try_ask(&lake, &sql) {
            Ok(rows) => panic!("{short}: gave {} rows", rows.len()),
            // A type that is said wrong for this version is refused as bad SQL before it is made.
            Err(error) => assert!(
                error.kind == QueryErrorKind::TooLarge
                    || (sql.contains("arrow_") && error.kind == QueryErrorKind::BadSql),
                "{short}: {error:?}"
            ),
        }
    }
    assert_eq!(ask(&lake, "SELECT count(*) FROM metrics"), ["100"]);
}

#[test]
fn a_window_function_keeps_no_more_than_the_querys_memory() {
    let (_folder, lake) = small();
    for at in 2..=20 {
        append(&lake, cpu(5000, DAY), at);
    }
    let sql = "SELECT max(s) FROM (SELECT sum(value) OVER () AS s, attributes FROM metrics WHERE attributes <> '')";
    let limits = QueryLimits { memory: 1 << 20, ..QueryLimits::default() };
    let error = try_ask_with(&lake, &sql.replace("max(s)", "max(s), max(attributes)"), limits).unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::TooLarge, "{error}");
    assert_eq!(try_ask(&lake, sql).unwrap().len(), 1);
}

#[test]
fn ordinary_use_is_as_ever() {
    let (_folder, lake) = small();
    let one = |sql: &str| ask(&lake, sql).join("|");
    assert_eq!(one("SELECT 'a' || 'b' || 1 || 2.5"), "ab12.5");
    assert_eq!(one("SELECT 'a' || NULL"), "-");
    assert_eq!(one("SELECT concat('a', NULL, 'b')"), "ab");
    assert_eq!(
        one("SELECT metric_name || ':' || unit AS m FROM metrics GROUP BY metric_name || ':' || unit"),
        "system.cpu.utilization:1"
    );
    assert_eq!(one("SELECT concat(service_name, '/', host_name) FROM metrics GROUP BY 1"), "shop/h1");
    assert_eq!(one("SELECT concat_ws('-', 'a', 'b', 'c')"), "a-b-c");
    assert_eq!(one("SELECT regexp_replace('foo bar', '(o+) (b)', '\\2\\1')"), "fbooar");
    assert_eq!(one("SELECT replace(attributes, 'cpu', 'core') FROM metrics WHERE value = 1"), r#"{"core":"core1"}"#);
    assert_eq!(one("SELECT [1, 2] || [3] || 4"), "[1, 2, 3, 4]");
    assert_eq!(one("SELECT array_to_string(make_array(1, 2), ',')"), "1,2");
    assert_eq!(one("SELECT string_to_array('a b', ' ')"), "[a, b]");
    assert_eq!(one("SELECT levenshtein('kitten', 'sitting')"), "3");
    assert_eq!(one("SELECT named_struct('a', 1, 'b', 'x')['b']"), "x");
    assert_eq!(
        one("SELECT sum(value) OVER (), lag(value, 2) OVER (ORDER BY ts) FROM metrics ORDER BY ts LIMIT 3"),
        "4950.0 -|4950.0 -|4950.0 0.0"
    );
    assert_eq!(one("SELECT u FROM (SELECT unnest([1, 2, 3]) AS u)"), "1|2|3");
    assert_eq!(
        one("SELECT count(*) FROM metrics a JOIN metrics b ON a.ts = b.ts AND a.series_id = b.series_id"),
        "100"
    );
    assert_eq!(one("SELECT count(*) FROM metrics a, metrics b"), "10000");
    assert_eq!(one("SELECT arrow_cast('ab', 'LargeUtf8')"), "ab");
    // In pieces: what the arguments allow is more than what is made.
    let long = format!("SELECT max(length(replace(attributes, 'q', '{}'))) FROM metrics", "y".repeat(50_000));
    assert_eq!(one(&long), "14");
}

/// They would take all of memory and time before a row is read, and no deadline could stop them.
#[test]
fn plans_that_grow_are_refused_in_time() {
    let (_folder, lake) = small();
    let sums = |layers: usize| {
        let sum = vec!["x"; 20].join(" + ");
        (0..layers)
            .fold("SELECT value AS x FROM metrics".to_owned(), |inner, _| format!("SELECT {sum} AS x FROM ({inner})"))
    };
    let doubled =
        (1..14).map(|n| format!("t{n} AS (SELECT a.x FROM t{m} a, t{m} b)", m = n - 1)).collect::<Vec<_>>().join(", ");
    for sql in [
        format!("SELECT * FROM ({}) WHERE x > 1", sums(6)),
        format!("SELECT x FROM ({}) ORDER BY x LIMIT 1", sums(6)),
        format!("SELECT count(*) FROM ({}) a JOIN metrics b ON a.x = b.value", sums(6)),
        format!("SELECT value FROM metrics WHERE value IN ({})", sums(6)),
        format!("WITH t0 AS (SELECT 1 AS x), {doubled} SELECT count(*) FROM t13"),
        nested("value", &format!("struct({})", vec!["x"; 20].join(", ")), 9),
        nested(
            "value",
            &format!("[named_struct({})]", (0..20).map(|n| format!("'a{n}', x")).collect::<Vec<_>>().join(", ")),
            9,
        ),
    ] {
        let error = try_ask(&lake, &sql).unwrap_err();
        assert_eq!(error.kind, QueryErrorKind::TooLarge, "{error}");
        assert!(!error.message.contains("nests too deeply"), "the test asks for too much: {sql}");
    }
    assert_eq!(ask(&lake, &format!("SELECT count(*) FROM ({}) WHERE x > 1", sums(2))), ["99"]);
}
