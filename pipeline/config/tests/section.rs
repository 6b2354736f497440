use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{ByteSize, FromNode, Secret, Section};

fn read<T: FromNode>(yaml: &str) -> Result<Option<T>, String> {
    let mut section = Section::parse(yaml);
    let value = section.get("k");
    let mistakes = section.mistakes();
    if mistakes.is_empty() { Ok(value) } else { Err(mistakes.join("\n")) }
}

/// `expect` is the value, or a part of the message.
fn check<T: FromNode + PartialEq + std::fmt::Debug>(yaml: &str, expect: Result<Option<T>, &str>) {
    match (read::<T>(yaml), expect) {
        (Ok(got), Ok(expect)) => assert_eq!(got, expect, "{yaml}"),
        (Err(got), Err(expect)) => assert!(got.contains(expect), "{yaml}\n{got}\n{expect}"),
        (got, expect) => panic!("{yaml}\n{got:?}\n{expect:?}"),
    }
}

#[test]
fn numbers_follow_yaml_v3() {
    check("k: 12", Ok(Some(12u64)));
    check("k: 1_000", Ok(Some(1000u64)));
    check("k: 0x1F", Ok(Some(31u64)));
    check("k: 0o17", Ok(Some(15u64)));
    check("k: 017", Ok(Some(15u64)));
    check("k: 0b101", Ok(Some(5u64)));
    check("k: -3", Ok(Some(-3i64)));
    check("k:", Ok(None::<u64>));
    check("k: ~", Ok(None::<u64>));
    check("", Ok(None::<u64>));
    check::<u64>("k: -3", Err("-3 is out of range"));
    check::<u16>("k: 70000", Err("write a whole number from 0 to 65535"));
    check::<u64>("k: '12'", Err("remove the quotes"));
    check::<u64>("k: twelve", Err("expected a whole number, got a text (\"twelve\")"));
    check::<u64>("k: 1.5", Err("expected a whole number, got a number (\"1.5\")"));
    check::<u64>("k: [1]", Err("test.yaml:1:4: k: expected a whole number, got a list"));
    check("k: 1.5", Ok(Some(1.5)));
    check("k: 1e3", Ok(Some(1000.0)));
    check("k: 2", Ok(Some(2.0)));
    check("k: .inf", Ok(Some(f64::INFINITY)));
    check::<f64>("k: 1.2.3", Err("expected a number"));
}

#[test]
fn texts_keep_what_was_written() {
    check("k: 0123", Ok(Some("0123".to_owned())));
    check("k: true", Ok(Some("true".to_owned())));
    check("k: 'null'", Ok(Some("null".to_owned())));
    check("k: a # b", Ok(Some("a".to_owned())));
    check("k: !!str 5", Ok(Some("5".to_owned())));
    check("k: |\n  two\n  lines", Ok(Some("two\nlines\n".to_owned())));
    check::<String>("k: {a: 1}", Err("expected a text, got a mapping"));
    check("k: true", Ok(Some(true)));
    check("k: False", Ok(Some(false)));
    check::<bool>("k: yes", Err("write true or false"));
    check::<bool>("k: 'true'", Err("without quotes"));
}

#[test]
fn durations_are_go_s() {
    for (text, millis) in [
        ("0", 0),
        ("10s", 10_000),
        ("1m30s", 90_000),
        ("200ms", 200),
        ("1.5h", 5_400_000),
        (".5s", 500),
        ("1h2m3s4ms", 3_723_004),
        ("+5s", 5_000),
        ("0s", 0),
        ("'30s'", 30_000),
    ] {
        check(&format!("k: {text}"), Ok(Some(Duration::from_millis(millis))));
    }
    check("k: 7µs", Ok(Some(Duration::from_micros(7))));
    check("k: 7us", Ok(Some(Duration::from_micros(7))));
    check("k: 3ns", Ok(Some(Duration::from_nanos(3))));
    check::<Duration>("k: 10", Err("the duration \"10\" has no unit\n    help: write 10s, or with ms, m or h"));
    check::<Duration>("k: 10 s", Err("is not a duration"));
    check::<Duration>("k: 1d", Ok(Some(Duration::from_secs(86_400))));
    check::<Duration>("k: 1w12h", Ok(Some(Duration::from_secs(648_000))));
    check::<Duration>("k: 2y", Ok(Some(Duration::from_secs(2 * 365 * 86_400))));
    check::<Duration>("k: 1M", Err("is not a duration"));
    check::<Duration>("k: -1s", Err("is negative"));
    check::<Duration>("k: 1.2.3s", Err("is not a duration"));
    check::<Duration>("k: .s", Err("is not a duration"));
    check::<Duration>("k: 9999999999999999999h", Err("longer than 292 years"));
    check::<Duration>("k: 300000h300000000h", Err("longer than 292 years"));
}

#[test]
fn sizes() {
    check("k: 4096", Ok(Some(ByteSize(4096))));
    check("k: 64MiB", Ok(Some(ByteSize(64 << 20))));
    check("k: 1.5 GB", Ok(Some(ByteSize(1_500_000_000))));
    check::<ByteSize>("k: 5 bananas", Err("is not a size"));
    check::<ByteSize>("k: 99999999999999 TB", Err("is too large"));
}

#[test]
fn lists_and_maps_report_every_element() {
    check("k: [1, 2]", Ok(Some(vec![1u64, 2])));
    check("k: []", Ok(Some(Vec::<u64>::new())));
    check("k: a, b", Ok(Some(vec!["a".to_owned(), "b".to_owned()])));
    check::<Vec<u64>>("k: {a: 1}", Err("expected a list, got a mapping"));
    let both = read::<Vec<u64>>("k: [1, x, 3, ~]").unwrap_err();
    assert!(both.contains("1:8: k[1]: expected a whole number") && both.contains("k[3]: there is no value"), "{both}");
    check("k: {a: 1}", Ok(Some(BTreeMap::from([("a".to_owned(), 1u64)]))));
    check::<BTreeMap<String, u64>>("k: {a: 1, b: x}", Err("k::b: expected a whole number"));
    check("k: [1, 1.0, true, '1', {a: x}]", Ok(Some(serde_json::json!([1, 1.0, true, "1", {"a": "x"}]))));
}

#[test]
fn a_secret_is_never_shown() {
    let mut section = Section::parse("k: hunter2\nl: [hunter2]");
    assert_eq!(section.get::<Secret>("k"), Some(Secret("hunter2".to_owned())));
    assert_eq!(format!("{:?}", section.get::<Secret>("k")), "Some([REDACTED])");
    assert_eq!(section.get::<Secret>("l"), None);
    assert!(!section.mistakes().join("\n").contains("hunter2"));
}

#[test]
fn unknown_keys_are_reported_on_drop_with_the_nearest_known_one() {
    let mut section = Section::parse("tls:\n  insecur: true\nendpont: x\nzebra: 1\n");
    section.get::<String>("endpoint");
    {
        let mut tls = section.section("tls").unwrap();
        tls.get::<bool>("insecure");
        tls.get::<String>("ca_file");
    }
    assert_eq!(
        section.mistakes(),
        [
            "test.yaml:2:3: tls: unknown key \"insecur\"\n    help: did you mean \"insecure\"?",
            "test.yaml:3:1: unknown key \"endpont\"\n    help: did you mean \"endpoint\"?",
            "test.yaml:4:1: unknown key \"zebra\"\n    help: known keys: endpoint, tls",
        ]
    );
}

#[test]
fn nested_sections() {
    let mut section =
        Section::parse("scrapers:\n  cpu:\n  load: {average: true}\nactions:\n- key: a\n- 5\nprotocols: x");
    let scrapers = section.sections("scrapers");
    assert_eq!(scrapers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["cpu", "load"]);
    drop(scrapers);
    let mut actions = section.list("actions");
    assert_eq!(actions[0].get::<String>("key").as_deref(), Some("a"));
    assert!(actions[1].get::<String>("key").is_none());
    drop(actions);
    assert!(section.section("protocols").is_some());
    assert!(section.required::<String>("endpoint").is_none());
    assert_eq!(
        section.mistakes(),
        [
            "test.yaml:1:1: \"endpoint\" is required\n    help: add endpoint: ...",
            "test.yaml:3:10: scrapers::load: unknown key \"average\"\n    help: there are no known keys here",
            "test.yaml:6:3: actions[1]: expected a mapping, got a number\n    help: write one \"key: value\" a line, indented below it",
            "test.yaml:7:12: protocols: expected a mapping, got a text\n    help: write one \"key: value\" a line, indented below it",
        ]
    );
}

#[test]
fn choices() {
    let mut section = Section::parse("a: gzip\nb: gzp");
    let choices = [("gzip", 1), ("none", 0)];
    assert_eq!(section.choice("a", &choices), Some(1));
    assert_eq!(section.choice("b", &choices), None);
    assert_eq!(section.choice("c", &choices), None);
    assert_eq!(
        section.mistakes(),
        ["test.yaml:2:4: b: \"gzp\" is not one of the choices\n    help: did you mean \"gzip\"?"]
    );
}
