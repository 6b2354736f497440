//! The Collector's documented behaviour, as a table: a value as it is written, and what it is taken for.
//! Sources: the Collector's docs on configuration and its RFC on environment variables (type casting).

use std::sync::Arc;

use proptest::prelude::*;

use super::World;
use crate::config::{Node, Place, Report, Section, Value, load};

fn world() -> World {
    World::default()
        .var("NUMBER", "123")
        .var("OCTAL", "0123")
        .var("HEX", "0xdeadbeef")
        .var("QUOTED", "\"0123\"")
        .var("TAGGED", "!!str 0123")
        .var("BOOL", "true")
        .var("EMPTY", "")
        .var("TEXT", "hello")
        .var("MAP", "{a: 1, b: [x, y]}")
        .var("PASSWORD", "pass #1: {x")
        .var("HASH", "#hunter2")
        .var("NAME", "TEXT")
        .var("INDIRECT", "${env:TEXT} there")
        .var("LOOP", "${env:LOOP}")
        .var("TWO", "a,b")
        .file("token", "s3cret\n")
        .file("part.yaml", "endpoint: localhost:4317\nn: ${env:NUMBER}\n")
}

fn load_yaml(yaml: &str) -> (Node, Vec<String>) {
    let report = Report::default();
    let loaded = load(&[format!("yaml:{yaml}")], &[], &world(), &report);
    let nothing = || Node::new(Value::Null, Place { file: Arc::from(""), line: 0, column: 0 });
    (loaded.map_or_else(nothing, |loaded| loaded.expanded), report.mistakes().iter().map(ToString::to_string).collect())
}

/// `expect` is JSON when nobody says what type is wanted.
#[track_caller]
fn check(value: &str, expect: &str) {
    let (node, mistakes) = load_yaml(&format!("k: {value}"));
    let report = Report::default();
    let got = Section::new(&node, String::new(), &report).get::<serde_json::Value>("k").unwrap_or_default();
    assert_eq!(got.to_string(), expect, "{value}\n{mistakes:?}");
}

/// ... and here a text is wanted.
#[track_caller]
fn check_text(value: &str, expect: &str) {
    let (node, mistakes) = load_yaml(&format!("k: {value}"));
    assert_eq!(node.get("k").unwrap().text(), Some(expect), "{value}\n{mistakes:?}");
}

#[track_caller]
fn check_mistake(value: &str, expect: &str) {
    let (_, mistakes) = load_yaml(&format!("k: {value}"));
    assert!(mistakes.join("\n").contains(expect), "{value}: {mistakes:#?}");
}

#[test]
fn a_whole_value_has_the_type_its_text_has_in_yaml() {
    check("${env:NUMBER}", "123");
    check("${NUMBER}", "123");
    check("${env:OCTAL}", "83");
    check("${env:HEX}", "3735928559");
    check("${env:BOOL}", "true");
    check("${env:EMPTY}", "null");
    check("${env:TEXT}", "\"hello\"");
    check("${env:MAP}", r#"{"a":1,"b":["x","y"]}"#);
    check("\"${env:NUMBER}\"", "123");
    check("['${env:NUMBER}', x]", "[123,\"x\"]");
    check("${yaml:[1, 2]}", "[1,2]");
}

#[test]
fn where_text_is_wanted_it_is_the_text_that_was_put_in() {
    check_text("${env:NUMBER}", "123");
    check_text("${env:OCTAL}", "0123");
    check_text("${env:HEX}", "0xdeadbeef");
    check_text("${env:QUOTED}", "0123");
    check_text("${env:TAGGED}", "0123");
    check_text("${env:BOOL}", "true");
    check_text("${env:MAP}", "{a: 1, b: [x, y]}");
    check_text("${env:PASSWORD}", "pass #1: {x");
    check_text("${env:HASH}", "#hunter2");
    check_text("${file:token}", "s3cret");
}

#[test]
fn inside_a_longer_text_it_is_text() {
    check("http://${env:TEXT}:${env:NUMBER}/", "\"http://hello:123/\"");
    check("n${env:OCTAL}", "\"n0123\"");
    check("1${env:NUMBER}", "\"1123\"");
    check("a${env:EMPTY}b", "\"ab\"");
    check("'Bearer ${file:token}'", "\"Bearer s3cret\"");
}

#[test]
fn defaults() {
    check("${env:NOT_SET:-5}", "5");
    check("${NOT_SET:-5}", "5");
    check("${env:NUMBER:-5}", "123");
    check("${env:EMPTY:-5}", "null");
    check("${env:NOT_SET:-}", "null");
    check("${env:NOT_SET:-localhost:4317}", "\"localhost:4317\"");
    check("${env:NOT_SET:-${env:TEXT}}", "\"hello\"");
    check("x${env:NOT_SET:-${env:NOR_THIS:-y}}z", "\"xyz\"");
}

#[test]
fn nesting() {
    check("${env:${env:NAME}}", "\"hello\"");
    check("${env:INDIRECT}", "\"hello there\"");
    check("a ${env:INDIRECT}", "\"a hello there\"");
    check("${file:part.yaml}", r#"{"endpoint":"localhost:4317","n":123}"#);
    check_mistake("${env:LOOP}", "too many references inside references");
    check_mistake("x${env:LOOP}", "too many references inside references");
}

#[test]
fn escapes() {
    check("$$", "\"$\"");
    check("$$$$", "\"$$\"");
    check("$${env:TEXT}", "\"${env:TEXT}\"");
    check("$$${env:TEXT}", "\"$hello\"");
    check("$$$${env:TEXT}", "\"$${env:TEXT}\"");
    check("a$$b", "\"a$b\"");
    // The naked form is no reference, and what is not closed is not one either.
    check("$TEXT", "\"$TEXT\"");
    check("$$TEXT", "\"$TEXT\"");
    check("'${env:TEXT'", "\"${env:TEXT\"");
    check("cost$", "\"cost$\"");
    check("a}b", "\"a}b\"");
}

#[test]
fn what_is_wrong() {
    let unset = "yaml::1:4: warning: k: the environment variable NOT_SET is not set; nothing is put in its place\n    \
                 help: set it, or write ${env:NOT_SET:-default}";
    check("${env:NOT_SET}", "null");
    check_mistake("${env:NOT_SET}", unset);
    check_mistake("${1}", "\"1\" cannot be the name of an environment variable");
    check_mistake("${env:}", "cannot be the name");
    check_mistake("${enb:X}", "the scheme \"enb\" in ${enb:X} is not supported\n    help: did you mean \"env\"?");
    check_mistake("${file:nowhere}", "k: ${file:nowhere} cannot be read: No such file");
    check_mistake("[1, '${1}']", "k[1]: \"1\" cannot");
}

#[test]
fn keys_are_left_alone() {
    let (node, _) = load_yaml("${env:NAME}: 1");
    assert!(node.get("${env:NAME}").is_some());
}

proptest! {
    #[test]
    fn garbage_never_panics(text in "[${}:\\-a-bENVTXT$ '\"\\[\\]#]{0,80}") {
        load_yaml(&text);
        load_yaml(&format!("k: '{}'", text.replace('\'', "")));
    }
}

#[test]
fn lists_from_one_variable() {
    let (node, _) = load_yaml("k: ${env:TWO}");
    let report = Report::default();
    let got = Section::new(&node, String::new(), &report).get::<Vec<String>>("k");
    assert_eq!(got, Some(vec!["a".to_owned(), "b".to_owned()]));
}
