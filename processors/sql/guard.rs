//! What is refused before DataFusion sees it: text so long or deep that planning it would exhaust a stack, and what has no place in an
//! expression over one row: subqueries, and functions that make values as large as they are told to.
//!
//! | limit | value |
//! |---|---|
//! | text | 16 KiB |
//! | tokens | 4,000 |
//! | operators and words that nest (`+`, `AND`, `CASE`, ...) | 300 |
//! | open parentheses and brackets | 40 |

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::Wrong;

const MAX_TEXT: usize = 16 << 10;
const MAX_TOKENS: usize = 4_000;
const MAX_NESTING: usize = 300;
const MAX_OPEN: usize = 40;

/// Make values as large as they are told to.
const BANNED: [&str; 13] = [
    "repeat",
    "lpad",
    "rpad",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "generate_series",
    "range",
    "array_range",
    "list_range",
    "space",
    "gen_series",
];

pub(super) fn check_text(sql: &str) -> Result<(), Wrong> {
    if sql.len() > MAX_TEXT {
        return Err(Wrong::new(format!("{} bytes of SQL; at most {MAX_TEXT}", sql.len()), "make several of it"));
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize();
    let tokens =
        tokens.map_err(|error| Wrong::new(format!("it is no SQL: {error}"), "texts are in 'single quotes'"))?;
    let (mut count, mut nesting, mut open) = (0usize, 0usize, 0usize);
    for token in &tokens {
        match token {
            Token::Whitespace(_) => continue,
            Token::LParen => open += 1,
            Token::LBracket | Token::LBrace => (open, nesting) = (open + 1, nesting + 1),
            Token::RParen | Token::RBracket | Token::RBrace => open = open.saturating_sub(1),
            Token::Word(word) => nesting += usize::from(nests(word.keyword)),
            Token::Comma | Token::SemiColon | Token::Period | Token::EOF | Token::Number(..) => {}
            Token::SingleQuotedString(_) | Token::DollarQuotedString(_) => {}
            _ => nesting += 1,
        }
        count += 1;
        if count > MAX_TOKENS || nesting > MAX_NESTING || open > MAX_OPEN {
            let what = format!(
                "it is too deep or too long: at most {MAX_TOKENS} tokens, {MAX_NESTING} operators, {MAX_OPEN} open parentheses"
            );
            return Err(Wrong::new(what, "use IN (...) for long OR chains, or make several of it"));
        }
    }
    Ok(())
}

/// Words that make the tree of an expression one level deeper each time, as operators do.
fn nests(word: Keyword) -> bool {
    use Keyword as K;
    matches!(
        word,
        K::AND
            | K::OR
            | K::NOT
            | K::XOR
            | K::IS
            | K::LIKE
            | K::ILIKE
            | K::SIMILAR
            | K::BETWEEN
            | K::IN
            | K::EXISTS
            | K::CASE
            | K::WHEN
            | K::CAST
            | K::TRY_CAST
            | K::AT
            | K::COLLATE
            | K::INTERVAL
            | K::ANY
            | K::ALL
            | K::SOME
            | K::OVER
            | K::DIV
            | K::RLIKE
            | K::REGEXP
            | K::OVERLAPS
    )
}

pub(super) fn check_expr(expr: &ast::Expr) -> Result<(), Wrong> {
    match expr.visit(&mut Rules) {
        ControlFlow::Break(wrong) => Err(wrong),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rules;

impl Visitor for Rules {
    type Break = Wrong;

    fn pre_visit_query(&mut self, _: &ast::Query) -> ControlFlow<Wrong> {
        let what = "a subquery is not possible: rows are looked at one by one, and the lake is not asked";
        ControlFlow::Break(Wrong::new(what, "write the values: IN ('a', 'b')"))
    }

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<Wrong> {
        let ast::Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        let name = function.name.to_string().to_lowercase();
        let last = name.rsplit('.').next().unwrap_or_default().trim_matches('"');
        if BANNED.contains(&last) {
            return ControlFlow::Break(Wrong::new(format!("function `{last}` is not allowed here"), "leave it out"));
        }
        ControlFlow::Continue(())
    }
}
