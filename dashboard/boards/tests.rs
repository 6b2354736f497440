#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

const WHOLE: &str = r#"
title: Shop
description: Orders
icon: services
variables:
  - name: shop
    label: Shop
    query: SELECT DISTINCT shop FROM orders WHERE $range
    multi: true
  - name: till
    query: SELECT DISTINCT till FROM orders WHERE $range AND shop IN $shop
sections:
  - title: Orders
    panels:
      - title: Rate
        chart: line
        query:
          sql: SELECT date_bin($step, ts) AS t, sum(value) / $step_seconds AS value FROM orders WHERE $range AND shop IN $shop GROUP BY 1
          lookback: 90s
          min_step: 10s
        unit: "{order}/s"
        min: 0
        span: 12
        height: l
        series: "{shop}"
        colors: { total: muted }
        thresholds: [{ value: 0.8, level: warning }, { value: 1, level: critical }]
        legend: [min, last]
      - title: Latest
        chart: table
        query: SELECT ts, trace_id, size FROM orders WHERE $range AND till = $till
        links: { column: trace_id, to: "/traces/{trace_id}" }
        columns: { size: { unit: By }, share: { unit: "1", percent: true } }
"#;

fn read(text: &str) -> Result<Board, String> {
    let report = Report::default();
    let board = read::board("shop", text, "shop.yaml", &report);
    let mistakes = report.mistakes().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(board.is_some(), mistakes.is_empty(), "{mistakes:?}");
    board.ok_or_else(|| mistakes.join("\n"))
}

#[test]
fn a_board_is_given_out_as_it_was_written() {
    let board = serde_json::to_value(read(WHOLE).unwrap()).unwrap();
    assert_eq!(board["id"], "shop");
    assert_eq!(board["variables"][0]["multi"], true);
    assert_eq!(board["variables"][1]["label"], "till", "its name, where it has no other");
    let [rate, latest] = board["sections"][0]["panels"].as_array().unwrap().as_slice() else { panic!("{board}") };
    assert_eq!(rate["query"]["lookback"], "1m 30s");
    assert_eq!((&rate["query"]["mode"], &rate["min"], &rate["span"]), (&json!("series"), &json!(0.0), &json!(12)));
    assert_eq!(rate["thresholds"], json!([{"value": 0.8, "level": "warning"}, {"value": 1.0, "level": "critical"}]));
    assert_eq!((&rate["legend"], &rate["colors"]), (&json!(["min", "last"]), &json!({"total": "muted"})));
    assert!(rate.get("max").is_none() && rate.get("links").is_none());
    assert_eq!(latest["query"]["mode"], "table", "as is usual for a table");
    assert_eq!((&latest["span"], &latest["height"]), (&json!(6), &json!("m")));
    assert_eq!(latest["links"], json!([{"column": "trace_id", "to": "/traces/{trace_id}"}]));
    assert_eq!(latest["columns"], json!({"share": {"unit": "1", "percent": true}, "size": {"unit": "By"}}));
    // What it says of time is understood where it is sent to.
    let lookback = rate["query"]["lookback"].as_str().unwrap();
    assert_eq!(humantime::parse_duration(lookback).unwrap().as_secs(), 90);
}

#[test]
fn every_mistake_has_its_place_and_its_mend() {
    let check = |change: &[(&str, &str)], expect: &[&str]| {
        let text = change.iter().fold(WHOLE.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        let mistakes = read(&text).expect_err(&format!("{change:?}"));
        for expect in expect {
            assert!(mistakes.contains(expect), "{expect} in {mistakes}");
        }
        mistakes.lines().filter(|line| line.starts_with("shop.yaml:")).count()
    };
    assert_eq!(
        check(
            &[("title: Shop", "titel: Shop")],
            &["shop.yaml:2:1", "did you mean \"title\"?", "\"title\" is required"]
        ),
        2
    );
    assert_eq!(
        check(&[("chart: line", "chart: lines")], &["sections[0]::panels[0]::chart", "did you mean \"line\"?"]),
        1
    );
    assert_eq!(check(&[("IN $shop GROUP", "IN $shops GROUP")], &["no variable for $shops", "$step_seconds, $shop"]), 1);
    assert_eq!(check(&[("IN $shop\n", "IN $till\n")], &["no variable for $till"]), 1, "of later ones nothing is known");
    assert_eq!(check(&[("SELECT ts, trace_id", "SELECT 'ts, trace_id")], &["is no SQL", "column 8"]), 1);
    assert_eq!(check(&[("name: till", "name: range")], &["$range means something"]), 2);
    assert_eq!(check(&[("name: till", "name: shop")], &["already"]), 2);
    assert_eq!(check(&[("name: till", "name: Till")], &["a-z"]), 2);
    assert_eq!(check(&[("span: 12", "span: 13")], &["1 to 12"]), 1);
    assert_eq!(check(&[("span: 12", "span: wide")], &["whole number"]), 1);
    assert_eq!(check(&[("lookback: 90s", "lookback: 90")], &["has no unit"]), 1);
    assert_eq!(check(&[("min: 0\n", "min: 0\n        max: 0\n")], &["not above min"]), 1);
    assert_eq!(check(&[("level: critical", "level: high")], &["choices"]), 1);
    assert_eq!(check(&[("legend: [min, last]", "legend: [min, median, min]")], &["median", "twice"]), 2);
    assert_eq!(check(&[("total: muted", "total: '#fff'")], &["palette"]), 1);
    for to in ["https://evil.example/", "//evil.example", "/\\\\evil.example", "traces"] {
        assert_eq!(check(&[("/traces/{trace_id}", to)], &["not a page of this app"]), 1);
    }
    assert_eq!(check(&[("chart: table", "chart: pie")], &["only tables"]), 2);
    assert_eq!(check(&[("min_step: 10s", "limit: 5")], &["mode series"]), 1);
    assert_eq!(check(&[("icon: services", "icon: '<svg>'")], &["choices"]), 1);
    let many = [
        ("title: Rate", "title: ''"),
        ("height: l", "height: xl"),
        ("name: till", "label: t"),
        ("value: 1,", "value: .inf,"),
    ];
    assert!(check(&many, &["is empty", "height", "\"name\" is required"]) >= 3, "all at once");
    assert!(read("- a\n").is_err() && read("").is_err() && read("title: [\n").is_err());
    assert!(read("title: a\nsections: [{ title: b, panels: [] }]\n").unwrap_err().contains("without panels"));
}

#[test]
fn the_built_in_boards_are_all_of_their_folder_and_right() {
    let boards = Boards::load(None).unwrap();
    let mut ids = boards.0.iter().map(|board| board.id.clone()).collect::<Vec<_>>();
    ids.sort();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/dashboards");
    let files = files(Path::new(folder)).unwrap().into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids, files);
}

#[test]
fn a_folder_adds_and_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("shop.yaml", WHOLE);
    write("host.yml", WHOLE);
    write("notes.txt", "no board");
    let boards = Boards::load(Some(path)).unwrap();
    assert_eq!(boards.get("host").unwrap().title, "Shop");
    assert_eq!(boards.0.len(), built_in::FILES.len() + 1);
    let places = boards.0.iter().map(Board::place).collect::<Vec<_>>();
    assert!(places.is_sorted(), "hosts before services before others");

    write("bad.yaml", "title: x\nsections: {}\n");
    let error = format!("{:#}", Boards::load(Some(path)).unwrap_err());
    assert!(error.contains("bad.yaml:2:11: sections: expected a list") && error.contains("help:"), "{error}");
    std::fs::remove_file(folder.path().join("bad.yaml")).unwrap();
    write("host.yaml", WHOLE);
    assert!(format!("{:#}", Boards::load(Some(path)).unwrap_err()).contains("the same board"));
    std::fs::remove_file(folder.path().join("host.yaml")).unwrap();
    write("My Board.yaml", WHOLE);
    assert!(format!("{:#}", Boards::load(Some(path)).unwrap_err()).contains("rename it"));
    let none = format!("{:#}", Boards::load(Some("/no/such/folder")).unwrap_err());
    assert!(none.contains("/no/such/folder"), "{none}");
}
