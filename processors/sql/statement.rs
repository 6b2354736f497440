//! Statements of `transform`: `SELECT`, `SET` and `DELETE` over the rows of a batch.
//!
//! ```text
//! SELECT * [EXCLUDE (column, ...)] [, expression AS column, ...] [FROM table] [WHERE condition]
//! [UPDATE table] SET column = expression, attributes['key'] = expression, ... [WHERE condition]
//! DELETE [FROM table] [WHERE condition]
//! ```
//!
//! Decision 0008 has why there are these three.

use catchment_pipeline::batch::Table;
use datafusion::sql::sqlparser::ast::{self, BinaryOperator};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::assign::{Assignment, Target, droppable};
use super::columns::{Rows, columns};
use super::compile::{attribute, compile, condition_of, for_each, parse, unknown_column};
use super::program::Program;
use super::{Wrong, guard, ottl};

/// A statement over the rows of one table.
#[derive(Debug)]
pub struct Statement {
    pub table: Table,
    pub(super) filter: Option<Program>,
    pub(super) verb: Verb,
    pub(super) assignments: Vec<Assignment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Rows that the condition does not hold for are gone; the others are changed.
    Select,
    /// Rows that the condition holds for are changed.
    Set,
    /// Rows that the condition holds for are gone.
    Delete,
}

/// As it was written.
#[derive(Clone)]
struct Parsed {
    verb: Verb,
    table: Option<String>,
    star: bool,
    excluded: Vec<ast::Ident>,
    columns: Vec<(Named, ast::Expr)>,
    filter: Option<ast::Expr>,
}

/// What is assigned to.
#[derive(Clone)]
enum Named {
    Column(ast::Ident),
    Attribute(ast::Ident, String),
    /// An expression without a name.
    Nothing,
}

/// `sql` over each of `tables` that has its columns, where one of `conditions` holds too.
pub fn statement(tables: &[Rows], sql: &str, conditions: &[String]) -> Result<Vec<Statement>, Wrong> {
    match build(tables, sql, conditions) {
        Err(wrong) if ottl::is_ottl(sql) => {
            let said = ottl::statement(sql).filter(|sql| build(tables, sql, &[]).is_ok());
            Err(match said {
                Some(sql) => Wrong::new("this is OTTL; statements here are SQL", format!("write \"{sql}\"")),
                None => {
                    let mend = "write SET attributes['key'] = 'value' WHERE ..., see docs/processors.md";
                    Wrong::new(format!("this is OTTL; statements here are SQL ({})", wrong.what), mend)
                }
            })
        }
        other => other,
    }
}

fn build(tables: &[Rows], sql: &str, conditions: &[String]) -> Result<Vec<Statement>, Wrong> {
    let mut parsed = parse_statement(sql)?;
    if !conditions.is_empty() {
        if parsed.verb == Verb::Select {
            return Err(Wrong::new("a SELECT has conditions of its own", "write them in its WHERE"));
        }
        let mut any = None;
        for condition in conditions {
            any = Some(both(any, BinaryOperator::Or, parse(condition)?));
        }
        if let Some(any) = any {
            parsed.filter = Some(both(parsed.filter, BinaryOperator::And, any));
        }
    }
    let named = match &parsed.table {
        None => tables.to_vec(),
        Some(name) => {
            let found = tables.iter().find(|rows| matches!(rows, Rows::Of(table) if table.name() == name.as_str()));
            let names = tables.iter().filter_map(|rows| match rows {
                Rows::Of(table) => Some(table.name()),
                Rows::SpanEvents => None,
            });
            let mend = format!("tables here: {}", names.collect::<Vec<_>>().join(", "));
            vec![*found.ok_or_else(|| Wrong::new(format!("there is no table {name} here"), mend))?]
        }
    };
    for_each(&named, |rows| parsed.clone().over(rows))
}

fn both(left: Option<ast::Expr>, op: BinaryOperator, right: ast::Expr) -> ast::Expr {
    let right = ast::Expr::Nested(Box::new(right));
    match left {
        None => right,
        Some(left) => {
            let left = Box::new(ast::Expr::Nested(Box::new(left)));
            ast::Expr::BinaryOp { left, op, right: Box::new(right) }
        }
    }
}

fn parse_statement(sql: &str) -> Result<Parsed, Wrong> {
    guard::check_text(sql)?;
    let dialect = PostgreSqlDialect {};
    let parsed = Parser::new(&dialect).with_recursion_limit(400).try_with_sql(sql).and_then(|mut parser| {
        let parsed = read(&mut parser)?;
        let _ = parser.consume_token(&Token::SemiColon);
        match parser.peek_token().token {
            Token::EOF => Ok(parsed),
            other => Err(ParserError::ParserError(format!("nothing is expected where {other} is"))),
        }
    });
    parsed.map_err(|error| Wrong::new(format!("it is no SQL: {error}"), "write SELECT ..., SET ... or DELETE ..."))
}

fn read(parser: &mut Parser<'_>) -> Result<Parsed, ParserError> {
    let mut parsed =
        Parsed { verb: Verb::Set, table: None, star: true, excluded: Vec::new(), columns: Vec::new(), filter: None };
    if parser.parse_keyword(Keyword::SELECT) {
        parsed.verb = Verb::Select;
        parsed.star = parser.consume_token(&Token::Mul);
        if parsed.star && (parser.parse_keyword(Keyword::EXCLUDE) || parser.parse_keyword(Keyword::EXCEPT)) {
            parsed.excluded = match parser.consume_token(&Token::LParen) {
                true => {
                    let names = parser.parse_comma_separated(Parser::parse_identifier)?;
                    parser.expect_token(&Token::RParen)?;
                    names
                }
                false => vec![parser.parse_identifier()?],
            };
        }
        if !parsed.star || parser.consume_token(&Token::Comma) {
            parsed.columns = parser.parse_comma_separated(selected)?;
        }
        if parser.parse_keyword(Keyword::FROM) {
            parsed.table = Some(parser.parse_identifier()?.value);
        }
    } else if parser.parse_keyword(Keyword::DELETE) {
        parsed.verb = Verb::Delete;
        if parser.parse_keyword(Keyword::FROM) {
            parsed.table = Some(parser.parse_identifier()?.value);
        }
    } else {
        if parser.parse_keyword(Keyword::UPDATE) {
            parsed.table = Some(parser.parse_identifier()?.value);
        }
        parser.expect_keyword(Keyword::SET)?;
        parsed.columns = parser.parse_comma_separated(assigned)?;
    }
    if parser.parse_keyword(Keyword::WHERE) {
        parsed.filter = Some(parser.parse_expr()?);
    }
    Ok(parsed)
}

fn selected(parser: &mut Parser<'_>) -> Result<(Named, ast::Expr), ParserError> {
    let expr = parser.parse_expr()?;
    let name = match (parser.parse_keyword(Keyword::AS), &expr) {
        (true, _) => named(parser)?,
        (false, ast::Expr::Identifier(ident)) => Named::Column(ident.clone()),
        (false, _) => Named::Nothing,
    };
    Ok((name, expr))
}

fn assigned(parser: &mut Parser<'_>) -> Result<(Named, ast::Expr), ParserError> {
    let name = named(parser)?;
    parser.expect_token(&Token::Eq)?;
    Ok((name, parser.parse_expr()?))
}

/// `column` or `attributes['key']`.
fn named(parser: &mut Parser<'_>) -> Result<Named, ParserError> {
    let column = parser.parse_identifier()?;
    if !parser.consume_token(&Token::LBracket) {
        return Ok(Named::Column(column));
    }
    let key = parser.parse_literal_string()?;
    parser.expect_token(&Token::RBracket)?;
    Ok(Named::Attribute(column, key))
}

fn plain(ident: &ast::Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

impl Parsed {
    fn over(self, rows: Rows) -> Result<Statement, Wrong> {
        let Rows::Of(table) = rows else {
            return Err(Wrong::new("events are not changed by statements", "leave it out"));
        };
        let filter = self.filter.map(|expr| condition_of(rows, expr)).transpose()?;
        let mut assignments = Vec::new();
        if self.verb == Verb::Select {
            assignments.extend(left_out(rows, self.star, &self.excluded, &self.columns)?);
        }
        for (name, expr) in self.columns {
            assignments.extend(assignment(rows, self.verb, self.star, name, expr)?);
        }
        Ok(Statement { table, filter, verb: self.verb, assignments })
    }
}

/// What a SELECT does not name.
fn left_out(
    rows: Rows,
    star: bool,
    excluded: &[ast::Ident],
    kept: &[(Named, ast::Expr)],
) -> Result<Vec<Assignment>, Wrong> {
    let mut gone = Vec::new();
    for ident in excluded {
        let name = plain(ident);
        let target = match columns(rows).iter().find(|column| column.name == name) {
            Some(column) => Target::of(column).filter(|_| droppable(rows, column)).ok_or_else(|| {
                Wrong::new(format!("{name} cannot be left out: a row is nothing without it"), "or leave out others")
            })?,
            None => Target::attribute("attributes", name),
        };
        gone.push(Assignment { target, program: None });
    }
    if !star {
        let is_kept =
            |name: &str| kept.iter().any(|(named, _)| matches!(named, Named::Column(it) if plain(it) == name));
        let all = columns(rows).iter().filter(|column| droppable(rows, column) && column.is_in_flight());
        for column in all.filter(|column| !is_kept(&column.name)) {
            gone.extend(Target::of(column).map(|target| Assignment { target, program: None }));
        }
    }
    Ok(gone)
}

fn assignment(rows: Rows, verb: Verb, star: bool, name: Named, expr: ast::Expr) -> Result<Option<Assignment>, Wrong> {
    let target = match &name {
        Named::Nothing => {
            return Err(Wrong::new(
                format!("{expr} has no name"),
                format!("write {expr} AS column, or AS an attribute's name"),
            ));
        }
        Named::Attribute(set, key) => {
            let set = plain(set);
            let found = ["attributes", "resource_attributes", "scope_attributes", "metadata"]
                .into_iter()
                .find(|it| **it == set);
            let there = found.filter(|name| columns(rows).iter().any(|column| column.name == **name));
            let there = there.ok_or_else(|| match found {
                Some(_) => unknown_column(rows, &set),
                None => Wrong::new(
                    format!("{set} is no set of attributes"),
                    "attributes, resource_attributes or scope_attributes",
                ),
            })?;
            Target::attribute(there, key.clone())
        }
        Named::Column(ident) => {
            let name = plain(ident);
            match columns(rows).iter().find(|column| column.name == name) {
                // As it was, if it is not within a set that is left out.
                Some(column)
                    if (star || column.is_in_flight())
                        && matches!(&expr, ast::Expr::Identifier(it) if plain(it) == name) =>
                {
                    return Ok(None);
                }
                Some(column) => Target::of(column).ok_or_else(|| {
                    Wrong::new(
                        format!("{name} is computed from other columns and cannot be set"),
                        "set what it is computed from",
                    )
                })?,
                None if verb == Verb::Select && (ident.quote_style.is_some() || !is_near(rows, &name)) => {
                    Target::attribute("attributes", name)
                }
                None => return Err(unknown_column(rows, &name)),
            }
        }
    };
    // An attribute that is copied keeps its type.
    let expr = match target {
        Target::Attribute { .. } | Target::Body => attribute(&expr, BinaryOperator::Arrow).unwrap_or(expr),
        _ => expr,
    };
    let program = compile(rows, expr)?;
    target.check(&program.kind)?;
    Ok(Some(Assignment { target, program: Some(program) }))
}

/// Rather a slip than an attribute.
fn is_near(rows: Rows, name: &str) -> bool {
    columns(rows).iter().any(|column| strsim::damerau_levenshtein(&column.name, name) == 1)
}
