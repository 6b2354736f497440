//! What live queries stand on: templates against a lake, what a query read, and what changed since.

use std::time::Duration;

use catchment_pipeline::batch::{Rows, Table};
use tempfile::tempdir;

use super::data::{DAY, SECOND, cpu, logs, mixed, spans};
use super::{append, ask, files_of, lake, try_ask, wait};
use crate::{Changed, Lake, QueryErrorKind, QueryLimits, Tables, Template, Variable, Variables, Window};

const MICROS: i64 = 1_000_000;
const START: i64 = DAY / 1000;

fn window(from: i64, to: i64) -> Window {
    let (from, to) = (START + from * MICROS, START + to * MICROS);
    Window { from, to, lookback: Duration::ZERO, step: Duration::from_secs(2) }
}

fn render(text: &str, window: &Window, variables: &Variables) -> String {
    Template::parse(text).unwrap().render(window, variables).unwrap().sql
}

#[test]
fn a_range_holds_its_start_and_not_its_end() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, cpu(10, DAY), 1);
    let sql = "SELECT count(*), min(value), max(value) FROM \"system.cpu.utilization\" WHERE $range";
    for _ in 0..2 {
        assert_eq!(ask(&lake, &render(sql, &window(2, 5), &Variables::new())), ["3 2.0 4.0"]);
        let wide = Window { lookback: Duration::from_secs(1), ..window(2, 5) };
        assert_eq!(ask(&lake, &render(sql, &wide, &Variables::new())), ["4 1.0 4.0"]);
        lake.flush().unwrap();
    }
    let edges = "SELECT $from AS a, $to AS b, arrow_typeof($from) AS c, arrow_typeof(ts) AS d FROM metrics LIMIT 1";
    let kind = "Timestamp(µs, \"UTC\")";
    let row = format!("2026-11-23T00:00:02Z 2026-11-23T00:00:05Z {kind} {kind}");
    assert_eq!(ask(&lake, &render(edges, &window(2, 5), &Variables::new())), [row]);
}

#[test]
fn steps_and_rates() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, cpu(6, DAY), 1);
    let sql =
        "SELECT date_bin($step, ts) AS t, sum(value) / $step_seconds FROM metrics WHERE $range GROUP BY 1 ORDER BY 1";
    let rows = ["2026-11-23T00:00:00Z 0.5", "2026-11-23T00:00:02Z 2.5", "2026-11-23T00:00:04Z 4.5"];
    assert_eq!(ask(&lake, &render(sql, &window(0, 10), &Variables::new())), rows);
}

#[test]
fn variables_are_strings_and_lists() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, cpu(4, DAY), 1);
    let sql = "SELECT count(*) FROM \"system.cpu.utilization\" WHERE cpu IN $cpu";
    let count = |value: Variable| ask(&lake, &render(sql, &window(0, 1), &[("cpu".to_owned(), value)].into())).concat();
    assert_eq!(count(Variable::One("cpu0".to_owned())), "2");
    assert_eq!(count(Variable::Many(vec!["cpu0".to_owned(), "cpu1".to_owned()])), "4");
    assert_eq!(count(Variable::Many(vec![])), "0");
    assert_eq!(count(Variable::One("') OR true --".to_owned())), "0");
    let hostile = "it's \\ \0 \n \u{202e} $range ' OR '1'='1";
    let sql = render("SELECT $x AS x", &window(0, 1), &[("x".to_owned(), Variable::One(hostile.to_owned()))].into());
    assert_eq!(try_ask(&lake, &sql).unwrap(), [[hostile]]);
}

#[test]
fn an_error_points_into_the_template() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, cpu(4, DAY), 1);
    let template = Template::parse("SELECT 1 FROM metrics\nWHERE $range AND nothing = 1").unwrap();
    let rendered = template.render(&window(0, 1), &Variables::new()).unwrap();
    let error = rendered.locate(try_ask(&lake, &rendered.sql).unwrap_err());
    assert_eq!((error.kind, error.position), (QueryErrorKind::BadSql, Some((2, 18))), "{error}");
}

#[test]
fn a_query_says_what_it_reads_and_of_which_position() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, mixed(3, DAY), 7);
    let reads = |sql: &str| {
        let query = wait(lake.query(sql, QueryLimits::default())).unwrap();
        assert_eq!(query.position, 7);
        query.reads.names().collect::<Vec<_>>()
    };
    assert_eq!(reads("SELECT 1"), [""; 0]);
    assert_eq!(reads("SELECT * FROM \"system.cpu.utilization\""), ["metrics"]);
    assert_eq!(reads("WITH logs AS (SELECT 1) SELECT * FROM logs, \"http.server.request.duration\""), ["histograms"]);
    let both = "SELECT count(*) FROM spans WHERE name IN (SELECT body FROM public.logs)";
    assert_eq!(reads(both), ["logs", "spans"]);
    assert_eq!(reads("SELECT count(*) FROM series"), ["series"]);
}

#[test]
fn what_does_not_exist_yet_is_told_from_wrong_sql() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    append(&lake, cpu(3, DAY), 1);
    let error = |sql: &str| try_ask(&lake, sql).unwrap_err();
    let missing = error("SELECT 1\nFROM \"system.cpu.utilisation\"");
    assert_eq!((missing.kind, missing.position), (QueryErrorKind::NoDataYet, Some((2, 6))), "{missing}");
    assert!(missing.message.ends_with("did you mean \"system.cpu.utilization\"?"), "{missing}");
    let missing = error("SELECT count(*) FROM metrics m JOIN spams s ON true");
    assert_eq!((missing.kind, missing.position), (QueryErrorKind::NoDataYet, Some((1, 37))), "{missing}");
    assert!(missing.message.contains("`spams`") && missing.message.contains("\"spans\""), "{missing}");
    let far = error("SELECT * FROM \"it's 'far' not found\"");
    assert_eq!(far.kind, QueryErrorKind::NoDataYet, "{far}");
    assert!(!far.message.contains("did you mean"), "{far}");
    for sql in ["SELECT * FROM system.cpu.utilization", "SELECT * FROM system.load"] {
        let unquoted = error(sql);
        assert_eq!((unquoted.kind, unquoted.position), (QueryErrorKind::BadSql, Some((1, 15))), "{unquoted}");
        assert!(unquoted.message.contains("is quoted: FROM \"system."), "{unquoted}");
    }
    assert_eq!(error("SELECT nothing FROM metrics").kind, QueryErrorKind::BadSql);
}

fn since(lake: &Lake, position: u64, table: &str) -> Changed {
    lake.changed_since(position, Tables::named(table).unwrap(), i64::MIN..i64::MAX)
}

#[test]
fn changes_are_fed_by_appending_and_by_reading_the_log_again() {
    let folder = tempdir().unwrap();
    {
        let lake = lake(&folder);
        let changes = lake.changes();
        assert_eq!((*changes.borrow(), lake.log_id()), (0, "log"));
        append(&lake, mixed(3, DAY), 1);
        assert!(changes.has_changed().unwrap());
        lake.flush().unwrap();
        append(&lake, cpu(3, DAY + 60 * SECOND), 2);
        append(&lake, Rows::new([(Table::Spans, spans(2, DAY + 5 * SECOND)), (Table::Logs, logs(2, DAY))]), 3);
        assert_eq!(*changes.borrow(), 3);
        assert_eq!(since(&lake, 1, "metrics"), Changed::Since(START + 60 * MICROS));
        assert_eq!(since(&lake, 1, "spans"), Changed::Since(START + 5 * MICROS));
        assert_eq!(since(&lake, 1, "logs"), Changed::Since(START));
        assert_eq!(since(&lake, 0, "series"), Changed::Since(START));
        assert_eq!(since(&lake, 1, "series"), Changed::Nothing);
        assert_eq!(since(&lake, 2, "metrics"), Changed::Nothing);
        assert_eq!(since(&lake, 1, "histograms"), Changed::Nothing);
    }
    let lake = lake(&folder);
    assert_eq!(since(&lake, 0, "metrics"), Changed::Unknown);
    assert_eq!(since(&lake, 3, "metrics"), Changed::Ahead);
    append(&lake, cpu(3, DAY + 60 * SECOND), 2);
    append(&lake, Rows::new([(Table::Spans, spans(2, DAY + 5 * SECOND))]), 3);
    assert_eq!(since(&lake, 3, "metrics"), Changed::Nothing);
    assert_eq!(since(&lake, 1, "metrics"), Changed::Since(START + 60 * MICROS));
}

#[test]
fn files_are_pruned_by_a_range() {
    let folder = tempdir().unwrap();
    let lake = lake(&folder);
    for day in 0..3 {
        append(&lake, cpu(10, DAY - day * 86_400 * SECOND), day as u64 + 1);
        lake.flush().unwrap();
    }
    let files = |sql: &str, window: &Window| {
        files_of(&ask(&lake, &format!("EXPLAIN {}", render(sql, window, &Variables::new()))).join("\n"))
    };
    let sql = "SELECT value FROM metrics WHERE $range";
    assert_eq!(files(sql, &window(0, 60)), 1);
    assert_eq!(files(sql, &window(-86_400, 60)), 2);
    assert_eq!(files(sql, &window(20, 60)), 0);
    assert_eq!(files("SELECT value FROM (SELECT * FROM \"system.cpu.utilization\") WHERE $range", &window(0, 60)), 1);
    assert_eq!(files("SELECT value FROM metrics WHERE ts >= $from AND ts < $to", &window(0, 60)), 1);
}
