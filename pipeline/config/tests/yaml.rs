use std::fmt::Write;
use std::sync::Arc;

use proptest::prelude::*;

use crate::config::{Node, Report, Value, yaml};

fn parse(text: &str) -> (Option<Node>, Vec<String>) {
    let report = Report::default();
    let node = yaml::parse(text, &Arc::from("c.yaml"), &report);
    (node, report.mistakes().iter().map(ToString::to_string).collect())
}

fn flat(node: &Node) -> String {
    match &node.value {
        Value::Null => "~".to_owned(),
        Value::Scalar(scalar) if scalar.plain => scalar.text.clone(),
        Value::Scalar(scalar) => format!("{:?}", scalar.text),
        Value::List(items) => format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(",")),
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| format!("{}:{}", entry.key, flat(&entry.value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
    }
}

#[track_caller]
fn check(text: &str, expect: &str) {
    let (node, mistakes) = parse(text);
    assert_eq!(mistakes, Vec::<String>::new());
    assert_eq!(flat(&node.unwrap()), expect);
}

#[track_caller]
fn check_mistake(text: &str, expect: &str) {
    let (_, mistakes) = parse(text);
    assert!(mistakes.iter().any(|mistake| mistake.contains(expect)), "{mistakes:#?}");
}

#[test]
fn shapes() {
    check("", "~");
    check("# only a comment\n", "~");
    check("\u{feff}a: 1", "{a:1}");
    check("a: 1\r\nb:\r\n  - x\r\n", "{a:1,b:[x]}");
    check("---\na: {b: [1, '2', \"3\"]}\n", "{a:{b:[1,\"2\",\"3\"]}}");
    check("a:\n- b\n-\n", "{a:[b,~]}");
    check("1: a\ntrue: b", "{1:a,true:b}");
}

#[test]
fn anchors_and_merge_keys() {
    check("a: &x {b: 1}\nc: *x", "{a:{b:1},c:{b:1}}");
    check("base: &b {x: 1, y: 2}\nc:\n  <<: *b\n  y: 3", "{base:{x:1,y:2},c:{y:3,x:1}}");
    check("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}", "{a:{x:1},b:{x:2,y:2},c:{x:1,y:2}}");
    check_mistake("a: {<<: 5}", "\"<<\" takes over mappings");
    check_mistake("a: *nowhere", "c.yaml:1:4: not valid YAML");
    check_mistake("a: &a [*a]", "an alias inside what it stands for");
}

#[test]
fn what_is_wrong_says_where() {
    check_mistake("a: 1\nb:\n\tc: 2\n", "c.yaml:3:1: a tab is used for indentation");
    check_mistake("a: 1\na: 2", "c.yaml:2:1: the key \"a\" is already there, on line 1");
    check_mistake("a: b: c", "c.yaml:1:5: not valid YAML");
    check_mistake("a: [1", "not valid YAML");
    check_mistake("a: 1\n---\nb: 2", "a second YAML document");
    check_mistake("? [a]\n: 1", "a list cannot be a key");
    check_mistake("a: !secret x", "the tag !secret is not known");
}

#[test]
fn sizes_are_bounded() {
    check_mistake(&"a".repeat(yaml::MAX_BYTES + 1), "are more than a configuration may have");
    check_mistake(&"[".repeat(10_000), "levels deep");
    check_mistake(&"- ".repeat(10_000), "levels deep");
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..20 {
        let alias = format!("*a{}", level - 1);
        writeln!(laughs, "a{level}: &a{level} [{}]", [alias.as_str(); 9].join(",")).unwrap();
    }
    check_mistake(&laughs, "aliases expand to more");
    let deep = (1..100)
        .fold(String::from("a0: &a0 [x]\n"), |text, level| format!("{text}a{level}: &a{level} [*a{}]\n", level - 1));
    check_mistake(&deep, "aliases expand to more");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn garbage_is_a_mistake_or_a_node(text in "[ \t\n\r:\\-\\[\\]{},&*!|>'\"%@`?#a-c0-9<~.$]{0,60}") {
        let (node, mistakes) = parse(&text);
        prop_assert!(node.is_some() || !mistakes.is_empty());
    }

    #[test]
    fn any_text_at_all(text in "\\PC{0,200}") {
        let (node, mistakes) = parse(&text);
        prop_assert!(node.is_some() || !mistakes.is_empty());
    }
}
