use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::World;
use crate::config::{Report, Section, load, print, yaml};

#[track_caller]
fn check(sources: &[&str], sets: &[&str], expect: &str) {
    let (got, mistakes) = run(sources, sets);
    assert_eq!(mistakes, Vec::<String>::new());
    assert_eq!(got, expect);
}

#[track_caller]
fn check_mistake(sources: &[&str], sets: &[&str], expect: &str) {
    let (_, mistakes) = run(sources, sets);
    assert!(mistakes.join("\n").contains(expect), "{mistakes:#?}");
}

fn run(sources: &[&str], sets: &[&str]) -> (String, Vec<String>) {
    let world = World::default()
        .file("a.yaml", "receivers: {otlp: {endpoint: 'x:1', tags: [a, b]}}\n")
        .file("dir/b.yaml", "receivers: {otlp: {tags: [c]}, more: }\n")
        .file("empty.yaml", "# nothing\n")
        .file("list.yaml", "- 1\n")
        .file("odd:name.yaml", "a: 1\n")
        .var("WHOLE", "exporters: {debug: }");
    let report = Report::default();
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let loaded = load(&owned(sources), &owned(sets), &world, &report);
    let printed = loaded.map(|loaded| print(&loaded.expanded, &BTreeSet::new())).unwrap_or_default();
    (printed, report.mistakes().iter().map(ToString::to_string).collect())
}

#[test]
fn sources() {
    let a = "receivers:\n  otlp:\n    endpoint: x:1\n    tags:\n      - a\n      - b\n";
    check(&["a.yaml"], &[], a);
    check(&["file:a.yaml"], &[], a);
    check(&["a.yaml", "empty.yaml"], &[], a);
    check(&["empty.yaml", "a.yaml"], &[], a);
    check(&["env:WHOLE"], &[], "exporters:\n  debug:\n");
    check(&["odd:name.yaml"], &[], "a: 1\n");
    check(&["yaml:a: {b: 1}"], &[], "a:\n  b: 1\n");
    check(&["yaml:a::b::c: 1"], &[], "a:\n  b:\n    c: 1\n");
    check_mistake(&["nowhere.yaml"], &[], "nowhere.yaml: cannot be read: No such file");
    check_mistake(&["http://x/y.yaml"], &[], "the scheme \"http\" is not supported");
    check_mistake(&["env:NOT_SET"], &[], "the environment variable NOT_SET is not set");
    check_mistake(&["list.yaml"], &[], "list.yaml:1:1: a configuration is a mapping, and this is a list");
}

#[test]
fn later_sources_win_maps_merge_lists_replace() {
    let merged = "receivers:\n  otlp:\n    endpoint: x:1\n    tags:\n      - c\n  more:\n";
    check(&["a.yaml", "dir/b.yaml"], &[], merged);
    check(&["yaml:a: {b: 1, c: 2}", "yaml:a: {b: 3}"], &[], "a:\n  b: 3\n  c: 2\n");
    check(&["yaml:a: {b: 1}", "yaml:a: 5"], &[], "a: 5\n");
    check(&["yaml:a: {b: 1}", "yaml:a:"], &[], "a:\n");
    check(&["yaml:a: [1]", "yaml:a: {b: 1}"], &[], "a:\n  b: 1\n");
}

#[test]
fn set() {
    let base = "yaml:a: {b: {c: 1}, d: [1, 2]}";
    check(&[base], &["a.b.c=2"], "a:\n  b:\n    c: 2\n  d:\n    - 1\n    - 2\n");
    check(&[base], &["a::b::c=x.y"], "a:\n  b:\n    c: x.y\n  d:\n    - 1\n    - 2\n");
    check(&[base], &["a.d=[3]", "a.b=", "e.f={g: 1}"], "a:\n  b:\n  d:\n    - 3\ne:\n  f:\n    g: 1\n");
    check(&[], &["headers::x.y=a=b"], "headers:\n  x.y: a=b\n");
    check_mistake(&[], &["novalue"], "--set novalue: there is no key and value");
    check_mistake(&[], &["=5"], "there is no key and value");
}

#[test]
fn printing_hides_secrets() {
    let node = yaml::parse("a: {token: x, list: [{key: y}]}\nb: z", &Arc::from("c"), &Report::default()).unwrap();
    let secrets = BTreeSet::from(["a::token".to_owned(), "a::list[0]::key".to_owned()]);
    assert_eq!(
        print(&node, &secrets),
        "a:\n  token: \"[REDACTED]\"\n  list:\n    -\n      key: \"[REDACTED]\"\nb: z\n"
    );
}

proptest! {
    /// What is printed reads back as what it was.
    #[test]
    fn printed_texts_survive(text in "\\PC{0,20}|[ -~\n\t]{0,12}|[0-9xoeE._+-]{0,8}|true|null|~|-|---") {
        let quoted = serde_json::to_string(&text).unwrap();
        let report = Report::default();
        let node = yaml::parse(&format!("k: [{quoted}]"), &Arc::from("c"), &report).unwrap();
        let printed = print(&node, &BTreeSet::new());
        let again = yaml::parse(&printed, &Arc::from("c"), &report);
        let again = again.map(|node| Section::new(&node, String::new(), &report).get::<serde_json::Value>("k"));
        prop_assert_eq!(again.flatten(), Some(serde_json::json!([text])), "{}", printed);
    }
}
