//! Every rule of the sandbox, and that the process outlives each attempt.

use std::time::{Duration, Instant};

use futures::StreamExt;
use tempfile::tempdir;

use super::data::{DAY, cpu};
use super::{append, ask, lake, try_ask, try_ask_with, wait};
use crate::{Lake, QueryErrorKind, QueryLimits, QueryPlan};

fn small() -> (tempfile::TempDir, Lake) {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, cpu(10, DAY), 1);
    (folder, lake)
}

fn check(lake: &Lake, sql: &str, kind: QueryErrorKind) {
    let short = &sql[..sql.len().min(80)];
    match try_ask(lake, sql) {
        Ok(rows) => panic!("{short}: gave {} rows", rows.len()),
        Err(error) => assert_eq!(error.kind, kind, "{short}: {error}"),
    }
}

#[test]
fn only_one_read_only_statement() {
    let (folder, lake) = small();
    let outside = folder.path().join("out.csv");
    let copy = format!("COPY metrics TO '{}'", outside.display());
    let external = "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'";
    for sql in [
        copy.as_str(),
        external,
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "SELECT 1 AS a INTO t",
        "DROP TABLE metrics",
        "DELETE FROM metrics",
        "UPDATE metrics SET unit = ''",
        "INSERT INTO metrics SELECT * FROM metrics",
        "TRUNCATE TABLE metrics",
        "WITH x AS (DELETE FROM metrics RETURNING *) SELECT * FROM x",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "EXPLAIN ANALYZE DELETE FROM metrics",
        "EXPLAIN (ANALYZE) DROP TABLE metrics",
        "EXPLAIN DELETE FROM metrics",
        "SELECT 1; SELECT 2",
        "SELECT repeat('x', 1000000000)",
        "SELECT array_length(array_repeat(1, 1000000000))",
        "SELECT lpad('x', 1000000000)",
        "SELECT * FROM generate_series(1, 1000000000000)",
        "SELECT * FROM range(1, 10)",
        "SELECT generate_series(1, 1000000000)",
    ] {
        check(&lake, sql, QueryErrorKind::Refused);
    }
    assert!(!outside.exists());
    assert_eq!(ask(&lake, "EXPLAIN SELECT 1").len(), 2);
    assert_eq!(ask(&lake, "SELECT 1;"), ["1"]);
}

#[test]
fn no_files_and_no_urls() {
    let (folder, lake) = small();
    lake.flush().unwrap();
    for name in ["/etc/passwd", "file:///etc/passwd", "lake://local/metrics", "http://127.0.0.1/x.parquet"] {
        // No more than names of metrics that are not there.
        check(&lake, &format!("SELECT * FROM '{name}'"), QueryErrorKind::NoDataYet);
        check(&lake, &format!("SELECT * FROM \"{name}\""), QueryErrorKind::NoDataYet);
    }
    let own = format!("SELECT * FROM \"{}\"", folder.path().join("flush.json").display());
    check(&lake, &own, QueryErrorKind::NoDataYet);
    check(&lake, "SELECT * FROM read_csv('/etc/passwd')", QueryErrorKind::Refused);
}

#[test]
fn wrong_sql_says_where() {
    let (_folder, lake) = small();
    let at = |sql: &str| {
        let error = try_ask(&lake, sql).unwrap_err();
        assert_eq!(error.kind, QueryErrorKind::BadSql, "{sql}: {error}");
        error.position
    };
    assert_eq!(at("SELECT\n  1 FROM metrics ) WHERE"), Some((2, 18)));
    assert_eq!(at("SELECT 'open"), Some((1, 8)));
    assert_eq!(at("SELECT nothing FROM metrics"), Some((1, 8)));
    assert_eq!(at(""), None);
    check(&lake, "SELECT * FROM nowhere", QueryErrorKind::NoDataYet);
    check(&lake, "SELECT nofunction(1)", QueryErrorKind::BadSql);
    check(&lake, "SELECT CAST('x' AS INT)", QueryErrorKind::BadSql);
    check(&lake, "SELECT 1/0", QueryErrorKind::BadSql);
}

/// DataFusion or its parser would use up a stack, and with it the process.
#[test]
fn deep_statements_are_refused() {
    let (_folder, lake) = small();
    let chain = |with: &str, n: usize| format!("SELECT {}", vec!["1"; n].join(with));
    let nested = |open: &str, close: &str, n: usize| format!("SELECT {}1{}", open.repeat(n), close.repeat(n));
    let or = (0..3000).map(|n| format!("value = {n}")).collect::<Vec<_>>().join(" OR ");
    let unions = vec!["SELECT 1"; 2000].join(" UNION ALL ");
    let joins = format!("SELECT 1 FROM {}", vec!["metrics"; 500].join(", "));
    for sql in [
        chain("+", 2000),
        chain(" || ", 4000),
        chain(" AND ", 4000),
        format!("SELECT 1 FROM metrics WHERE {or}"),
        nested("(", ")", 3000),
        nested("[", "]", 3000),
        nested("(SELECT ", ")", 1000),
        nested("abs(", ")", 2000),
        nested("NOT ", "", 4000),
        nested("- ", "", 4000),
        nested("CASE WHEN true THEN ", " END", 1000),
        nested("CAST(", " AS INT)", 1000),
        format!("SELECT 1{}", "::int".repeat(3000)),
        format!("SELECT attributes{} FROM metrics", "->'a'".repeat(3000)),
        format!("SELECT a{}", "[1]".repeat(3000)),
        format!("{}SELECT 1", "EXPLAIN ".repeat(3000)),
        unions,
        joins,
        format!("SELECT {}", vec!["1"; 20_000].join(",")),
        format!("SELECT '{}'", "x".repeat(70_000)),
    ] {
        check(&lake, &sql, QueryErrorKind::TooLarge);
    }
    assert_eq!(ask(&lake, "SELECT 1"), ["1"]);
}

/// As deep as the guard lets through: planned, run and dropped.
#[test]
fn the_deepest_allowed_statements_run() {
    let (_folder, lake) = small();
    lake.flush().unwrap();
    append(&lake, cpu(10, DAY), 2);
    let sum = format!("SELECT max(value{}) FROM metrics", "+value".repeat(390));
    assert_eq!(ask(&lake, &sum), ["3519.0"]);
    let or = (0..95).map(|n| format!("value = {n}.5 OR unit = 'u{n}'")).collect::<Vec<_>>().join(" OR ");
    assert_eq!(ask(&lake, &format!("SELECT count(*) FROM metrics WHERE {or}")), ["0"]);
    let case = format!("SELECT {}1{}", "CASE WHEN value > 1 THEN 2 ELSE ".repeat(30), " END".repeat(30));
    assert_eq!(ask(&lake, &format!("{case} FROM metrics LIMIT 1")).len(), 1);
    let parentheses = format!("SELECT {}1{}", "(".repeat(35), ")".repeat(35));
    let _ = try_ask(&lake, &parentheses);
    let unions = vec!["SELECT value FROM metrics"; 30].join(" UNION ALL ");
    assert_eq!(ask(&lake, &unions).len(), 600);
    let many = (0..4000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(ask(&lake, &format!("SELECT count(*) FROM metrics WHERE value IN ({many})")), ["20"]);
    let subqueries = format!("{}SELECT 1 AS a{}", "SELECT a FROM (".repeat(30), ") AS t".repeat(30));
    let _ = try_ask(&lake, &subqueries);
    assert_eq!(ask(&lake, "SELECT 1"), ["1"]);
}

/// Streams for hours over 1,910 rows; whichever side of a join is kept in memory, it is small.
const FOREVER: &str = "SELECT count(*) FROM metrics a CROSS JOIN (metrics b CROSS JOIN metrics c) \
                       WHERE a.value + b.value + c.value > 1e9";

#[test]
fn limits_of_rows_time_and_memory() {
    let (_folder, lake) = small();
    for at in 2..=20 {
        append(&lake, cpu(100, DAY), at);
    }
    let limits = QueryLimits { max_rows: 100, ..QueryLimits::default() };
    let error = try_ask_with(&lake, "SELECT * FROM metrics", limits.clone()).unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::TooLarge, "{error}");
    assert_eq!(
        error.message,
        "more than 100 rows: add a LIMIT, ask for less, or raise `max_rows` in the lake's `query`"
    );
    assert_eq!(try_ask_with(&lake, "SELECT * FROM metrics LIMIT 100", limits).unwrap().len(), 100);

    let started = Instant::now();
    let limits = QueryLimits { deadline: Duration::from_millis(300), ..QueryLimits::default() };
    let error = try_ask_with(&lake, FOREVER, limits).unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::TimedOut, "{error}");
    assert!(error.message.contains("longer than 300ms: ask for less, or raise `timeout`"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());

    let limits = QueryLimits { memory: 100_000, ..QueryLimits::default() };
    let sql = "SELECT array_agg(a.attributes) FROM metrics a, metrics b";
    let error = try_ask_with(&lake, sql, limits).unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::TooLarge, "{error}");
    assert!(error.message.contains("more than its 1 MiB of memory: ask for less, or raise `memory`"), "{error}");

    let limits = QueryLimits { memory: 20 << 20, ..QueryLimits::default() };
    let sql = "SELECT DISTINCT attributes, ts, value FROM metrics ORDER BY value LIMIT 5";
    assert_eq!(try_ask_with(&lake, sql, limits).unwrap().len(), 5);
}

#[test]
fn a_dropped_query_stops() {
    let (_folder, lake) = small();
    for at in 2..=20 {
        append(&lake, cpu(100, DAY), at);
    }
    wait(async {
        // More than may run at once: were the dropped ones not stopped, the last would wait for its deadline.
        for _ in 0..12 {
            let limits = QueryLimits { deadline: Duration::from_secs(120), ..QueryLimits::default() };
            let query = lake.query(&FOREVER.replace("count(*)", "a.value").replace("> 1e9", "> -1"), limits).await;
            let mut query = query.unwrap();
            query.next().await.unwrap().unwrap();
        }
        let limits = QueryLimits { deadline: Duration::from_secs(20), ..QueryLimits::default() };
        let rows = lake.query("SELECT count(*) FROM metrics", limits).await.unwrap().collect().await.unwrap();
        assert_eq!(rows[0].num_rows(), 1);
    });
}

/// As a reload does it, while queries run.
#[test]
fn limits_change_for_queries_to_come() {
    let (_folder, lake) = small();
    for at in 2..=20 {
        append(&lake, cpu(100, DAY), at);
    }
    let plan = QueryPlan { max_rows: 5, max_concurrent: 2, timeout: Duration::from_secs(120), ..QueryPlan::default() };
    wait(async {
        let forever = FOREVER.replace("count(*)", "a.value").replace("> 1e9", "> -1");
        let mut running = lake.query(&forever, lake.limits()).await.unwrap();
        running.next().await.unwrap().unwrap();
        lake.set_query(plan);
        let limits = lake.limits();
        assert_eq!((limits.max_rows, limits.deadline), (5, Duration::from_secs(120)));
        assert!(lake.query("SELECT * FROM metrics", limits.clone()).await.unwrap().collect().await.is_err());
        assert!(lake.query("SELECT * FROM metrics LIMIT 5", limits).await.unwrap().collect().await.is_ok());
        drop(running);
        lake.set_query(QueryPlan { max_concurrent: 3, ..QueryPlan::default() });
        let mut running = Vec::new();
        for _ in 0..3 {
            running.push(lake.query(&forever, lake.limits()).await.unwrap());
        }
        let fourth = QueryLimits { deadline: Duration::from_millis(200), ..lake.limits() };
        let error = lake.query("SELECT 1", fourth).await.err().unwrap();
        assert_eq!(error.kind, QueryErrorKind::TimedOut, "{error}");
    });
}

#[test]
fn recursion_is_off() {
    let (_folder, lake) = small();
    let sql = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT * FROM t";
    check(&lake, sql, QueryErrorKind::BadSql);
}
