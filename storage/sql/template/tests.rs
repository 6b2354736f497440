#![allow(clippy::unwrap_used)]

use std::time::Duration;

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use proptest::prelude::*;

use super::{Template, Variable, Variables, Window};
use crate::sql::error::{QueryError, QueryErrorKind};

const WINDOW: Window = Window {
    from: 1_795_392_060_000_000,
    to: 1_795_392_120_000_001,
    lookback: Duration::from_secs(60),
    step: Duration::from_secs(10),
};

fn variables(values: &[(&str, &str)]) -> Variables {
    values.iter().map(|(name, value)| ((*name).to_owned(), Variable::One((*value).to_owned()))).collect()
}

fn try_render(text: &str, variables: &Variables) -> Result<String, QueryError> {
    Ok(Template::parse(text)?.render(&WINDOW, variables)?.sql)
}

fn render(text: &str) -> String {
    try_render(text, &variables(&[("host", "h1")])).unwrap()
}

#[test]
fn the_window_becomes_literals() {
    let time = |text: &str| format!("arrow_cast('{text}', 'Timestamp(Microsecond, Some(\"UTC\"))')");
    let (from, to) = (time("2026-11-23T00:00:00.000000Z"), time("2026-11-23T00:02:00.000001Z"));
    assert_eq!(render("WHERE $range"), format!("WHERE  (ts >= {from} AND ts < {to}) "));
    assert_eq!(render("$from,$to"), format!(" {from} , {to} "));
    assert_eq!(render("date_bin($step, ts)"), "date_bin( INTERVAL '10 seconds' , ts)");
    assert_eq!(render("a/$step_seconds"), "a/ 10.0 ");
    let fine = Window { step: Duration::from_millis(2500), ..WINDOW };
    let template = Template::parse("$step $step_seconds").unwrap();
    assert_eq!(template.render(&fine, &Variables::new()).unwrap().sql, " INTERVAL '2500 milliseconds'   2.5 ");
    let odd = Window { from: i64::MIN, to: i64::MAX, lookback: Duration::MAX, step: Duration::ZERO };
    let sql = template.render(&odd, &Variables::new()).unwrap().sql;
    assert_eq!(sql, " INTERVAL '1 milliseconds'   0.001 ");
    let sql = Template::parse("$from $to").unwrap().render(&odd, &Variables::new()).unwrap().sql;
    assert!(sql.contains("'0001-01-01T00:00:00.000000Z'") && sql.contains("'9999-12-31T23:59:59.999999Z'"), "{sql}");
}

#[test]
fn what_is_no_token_stays() {
    for text in [
        "SELECT '$host'",
        "SELECT 'it''s $host'",
        "SELECT \"$host\"",
        "SELECT 1 -- $host and $nothing\n",
        "SELECT /* $host */ 1",
        "SELECT $$ $host $$",
        "SELECT $tag$ $host $tag$",
        "SELECT E'\\' $host'",
        "SELECT a$host",
        "",
    ] {
        assert_eq!(render(text), text);
    }
    assert_eq!(render("a = $host"), "a =  'h1' ");
    assert_eq!(render("a=$host;"), "a= 'h1' ;");
    assert_eq!(render("($host)"), "( 'h1' )");
}

#[test]
fn one_value_or_many() {
    let mut given = variables(&[("one", "a")]);
    given.insert("many".to_owned(), Variable::Many(vec!["a".to_owned(), "b".to_owned()]));
    given.insert("single".to_owned(), Variable::Many(vec!["a".to_owned()]));
    given.insert("none".to_owned(), Variable::Many(Vec::new()));
    let render = |text: &str| try_render(text, &given);
    assert_eq!(render("x IN $many").unwrap(), "x IN  ('a', 'b') ");
    assert_eq!(render("x not in $one").unwrap(), "x not in  ('a') ");
    assert_eq!(render("x IN $none").unwrap(), "x IN  (NULL) ");
    assert_eq!(render("x = $single").unwrap(), "x =  'a' ");
    let error = render("SELECT 1\nWHERE x = $many").unwrap_err();
    assert_eq!((error.kind, error.position), (QueryErrorKind::BadSql, Some((2, 11))));
    assert!(error.message.contains("write `IN $many`"), "{error}");
}

#[test]
fn mistakes_have_their_position() {
    let error = try_render("SELECT 'é',\n  $hosts", &variables(&[("host", "h")])).unwrap_err();
    assert_eq!((error.kind, error.position), (QueryErrorKind::BadSql, Some((2, 3))));
    assert!(error.message.contains("`$hosts`") && error.message.contains("$step_seconds, $host"), "{error}");
    assert_eq!(try_render("SELECT $1", &Variables::new()).unwrap_err().position, Some((1, 8)));
    assert_eq!(Template::parse("SELECT 'open").unwrap_err().position, Some((1, 8)));
    let long = Template::parse("x".repeat(70_000)).unwrap_err();
    assert_eq!(long.kind, QueryErrorKind::TooLarge);
    let many = Variables::from([("v".to_owned(), Variable::Many(vec!["x".repeat(1000); 100]))]);
    let error = try_render("x IN $v", &many).unwrap_err();
    assert_eq!((error.kind, error.position), (QueryErrorKind::TooLarge, Some((1, 6))), "{error}");
}

#[test]
fn names_are_known_before_rendering() {
    let template = Template::parse("SELECT $host, $b, '$c' FROM m WHERE $range AND x = $host").unwrap();
    assert_eq!(template.variables().into_iter().collect::<Vec<_>>(), ["b", "host"]);
    assert!(template.uses_window() && !template.uses_step());
}

#[test]
fn positions_point_into_the_template() {
    let text = "SELECT 'é',\n $host AS a, $host,\n  wrong, $host";
    let rendered = Template::parse(text).unwrap().render(&WINDOW, &variables(&[("host", "a\nb'c\n")])).unwrap();
    let at = |what: &str| QueryError { position: Some(place_of(&rendered.sql, what)), ..QueryError::internal("") };
    assert_eq!(rendered.locate(at("wrong")).position, Some((3, 3)));
    assert_eq!(rendered.locate(at("b''c")).position, Some((2, 2)));
    let beyond = QueryError { position: Some((99, 1)), ..QueryError::internal("") };
    assert_eq!(rendered.locate(beyond).position, Some((3, 15)));
    assert_eq!(rendered.locate(QueryError::internal("")).position, None);
}

fn place_of(text: &str, what: &str) -> (u64, u64) {
    super::place::position(text, text.find(what).unwrap())
}

fn tokens(sql: &str) -> Vec<Token> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().unwrap();
    tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect()
}

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("'".to_owned()),
        Just("''".to_owned()),
        Just("\\".to_owned()),
        Just("\\'".to_owned()),
        Just("\"".to_owned()),
        Just("\0".to_owned()),
        Just("\n".to_owned()),
        Just("$".to_owned()),
        Just("$$".to_owned()),
        Just("$host".to_owned()),
        Just("--".to_owned()),
        Just("/*".to_owned()),
        Just("; DROP TABLE metrics".to_owned()),
        Just("\u{2019}\u{ff07}\u{202e}".to_owned()),
        any::<char>().prop_map(String::from),
        "[a-z' ]{0,6}",
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Whatever a value holds and whatever stands beside it, it is one string token with that very text.
    #[test]
    fn a_value_cannot_become_sql(
        value in hostile(),
        before in prop_oneof![Just("a = "), Just("E"), Just("U&"), Just("N"), Just("'x'"), Just("1"), Just("1e"), Just("("), Just("-"), Just("E'x'"), Just("/* */")],
        after in prop_oneof![Just(" AND b"), Just("'y'"), Just(")"), Just(""), Just("-- c"), Just("::text"), Just("\"q\"")],
    ) {
        let text = format!("{before} $v{after}");
        let glued = format!("{before}$v{after}");
        for text in [text, glued] {
            let template = Template::parse(text.as_str()).unwrap();
            let given = variables(&[("v", &value)]);
            let sql = template.render(&WINDOW, &given).unwrap().sql;
            let mut expected = tokens(&text);
            for token in &mut expected {
                if *token == Token::Placeholder("$v".to_owned()) {
                    *token = Token::SingleQuotedString(value.clone());
                }
            }
            prop_assert_eq!(tokens(&sql), expected);
        }
    }

    #[test]
    fn lists_neither(values in proptest::collection::vec(hostile(), 1..5)) {
        let given = Variables::from([("v".to_owned(), Variable::Many(values.clone()))]);
        let sql = Template::parse("x IN $v").unwrap().render(&WINDOW, &given).unwrap().sql;
        let strings = tokens(&sql).into_iter().filter_map(|token| match token {
            Token::SingleQuotedString(text) => Some(text),
            _ => None,
        });
        prop_assert_eq!(strings.collect::<Vec<_>>(), values);
    }

    /// No text makes parsing or rendering panic, and rendering changes nothing but placeholders.
    #[test]
    fn any_text(text in "(?s).{0,40}", part in hostile()) {
        let text = format!("{text}{part}");
        let Ok(template) = Template::parse(text.as_str()) else { return Ok(()) };
        if template.variables().is_empty() && !template.uses_window() && !template.uses_step() {
            let rendered = template.render(&WINDOW, &Variables::new()).unwrap();
            prop_assert_eq!(rendered.sql, text);
        }
    }
}
