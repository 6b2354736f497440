//! From text to a [`Program`]: parsed, held against the columns, typed, and taken apart by dictionary.

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::config::Dialect;
use datafusion::error::Result;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, Volatility};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::sqlparser::ast::{self, AccessExpr, BinaryOperator, CastKind, Ident, Subscript, Value};
use datafusion::sql::sqlparser::ast::{ExprWithAlias, visit_expressions_mut};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

use super::columns::{Column, Rows, columns};
use super::program::{Form, Input, Part, Program, Step, message};
use super::{Wrong, functions, guard, ottl};

static STATE: LazyLock<std::result::Result<SessionState, String>> = LazyLock::new(|| state().map_err(|e| message(&e)));

fn state() -> Result<SessionState> {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
    let mut state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    datafusion_functions_json::register_all(&mut state)?;
    functions::register(&mut state)?;
    Ok(state)
}

/// `sql` as one expression.
pub fn parse(sql: &str) -> std::result::Result<ast::Expr, Wrong> {
    guard::check_text(sql)?;
    let parsed = DFParserBuilder::new(sql).with_dialect(&PostgreSqlDialect {}).with_recursion_limit(400).build();
    match parsed.and_then(|mut parser| parser.parse_into_expr()) {
        Ok(ExprWithAlias { expr, alias: None }) => Ok(expr),
        Ok(_) => Err(Wrong::new("an expression has no alias", "remove AS ...")),
        Err(error) => Err(Wrong::new(format!("it is no SQL: {}", message(&error)), "texts are in 'single quotes'")),
    }
}

/// A condition over each of `tables` that has its columns; it is wrong if none of them has.
pub fn condition_for(tables: &[Rows], sql: &str) -> std::result::Result<Vec<Program>, Wrong> {
    let compiled = parse(sql).and_then(|expr| for_each(tables, |rows| condition_of(rows, expr.clone())));
    match compiled {
        Err(wrong) if ottl::is_ottl(sql) => {
            let said = ottl::condition(sql);
            let right =
                |sql: &String| parse(sql).and_then(|e| for_each(tables, |rows| condition_of(rows, e.clone()))).is_ok();
            Err(match said.filter(right) {
                Some(sql) => Wrong::new("this is OTTL; conditions here are SQL", format!("write \"{sql}\"")),
                None => Wrong::new(format!("this is OTTL; conditions here are SQL ({})", wrong.what), wrong.mend),
            })
        }
        other => other,
    }
}

/// What `compile` makes of each of `tables`, without those that lack a column.
pub fn for_each<T>(
    tables: &[Rows],
    mut compile: impl FnMut(Rows) -> std::result::Result<T, Wrong>,
) -> std::result::Result<Vec<T>, Wrong> {
    let (mut made, mut absent) = (Vec::new(), None);
    for rows in tables {
        match compile(*rows) {
            Ok(one) => made.push(one),
            Err(wrong) if wrong.absent => absent = absent.or(Some(wrong)),
            Err(wrong) => return Err(wrong),
        }
    }
    match absent {
        Some(wrong) if made.is_empty() => Err(wrong),
        _ => Ok(made),
    }
}

pub fn condition_of(rows: Rows, expr: ast::Expr) -> std::result::Result<Program, Wrong> {
    let program = compile(rows, expr)?;
    match program.kind {
        DataType::Boolean | DataType::Null => Ok(program),
        other => {
            Err(Wrong::new(format!("it gives {}, not true or false", name_of(&other)), "compare it with something"))
        }
    }
}

/// How people call a type.
pub fn name_of(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "a text".to_owned(),
        kind if kind.is_integer() => "a whole number".to_owned(),
        kind if kind.is_numeric() => "a number".to_owned(),
        DataType::Timestamp(..) => "a time".to_owned(),
        DataType::Boolean => "true or false".to_owned(),
        DataType::Union(..) => "a JSON value".to_owned(),
        other => format!("{other}"),
    }
}

/// `expr` as it stands in SQL, over `rows`.
pub fn compile(rows: Rows, mut expr: ast::Expr) -> std::result::Result<Program, Wrong> {
    guard::check_expr(&expr)?;
    resolve(rows, &mut expr)?;
    let all = columns(rows);
    let planned = plan(all, expr).map_err(|error| Wrong::new(message(&error), type_mend(&error.to_string())))?;
    check(&planned)?;
    let assembled = assemble(rows, all, planned);
    assembled.map_err(|error| Wrong::new(message(&error), type_mend(&error.to_string())))
}

fn type_mend(error: &str) -> &'static str {
    if error.contains("coerc") || error.contains("Cannot infer common") || error.contains("type") {
        return "convert one side: attributes['k']::BIGINT, CAST(value AS TEXT), TRY_CAST(... AS DOUBLE)";
    }
    "see docs/processors.md for the columns and functions there are"
}

/// Columns and attributes as written become what DataFusion knows; unknown ones are told with what is near.
fn resolve(rows: Rows, expr: &mut ast::Expr) -> std::result::Result<(), Wrong> {
    let all = columns(rows);
    let flow = visit_expressions_mut(expr, |expr| {
        let unknown = match expr {
            ast::Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                // `metrics.value`
                [table, column] if is_name(rows, table) => {
                    *expr = ast::Expr::Identifier(column.clone());
                    return ControlFlow::Continue(());
                }
                parts => Some(parts.iter().map(|part| part.value.clone()).collect::<Vec<_>>().join(".")),
            },
            ast::Expr::Identifier(ident) if find(all, ident).is_none() => Some(ident.to_string()),
            _ => None,
        };
        match unknown {
            Some(name) => ControlFlow::Break(unknown_column(rows, &name)),
            None => ControlFlow::Continue(()),
        }
    });
    if let ControlFlow::Break(wrong) = flow {
        return Err(wrong);
    }
    // Numbers first: they look at what stands on their other side.
    let _: ControlFlow<()> = visit_expressions_mut(expr, |expr| {
        if let ast::Expr::BinaryOp { left, op, right } = expr
            && takes_numbers(op)
        {
            compare(left, right);
            compare(right, left);
        }
        ControlFlow::Continue(())
    });
    let _: ControlFlow<()> = visit_expressions_mut(expr, |expr| {
        if let Some(access) = attribute(expr, BinaryOperator::LongArrow) {
            *expr = access;
        }
        ControlFlow::Continue(())
    });
    Ok(())
}

fn is_name(rows: Rows, table: &Ident) -> bool {
    match rows {
        Rows::Of(of) => table.value.eq_ignore_ascii_case(of.name()),
        Rows::SpanEvents => table.value.eq_ignore_ascii_case("spanevent"),
    }
}

fn find(all: &'static [Column], ident: &Ident) -> Option<&'static Column> {
    let name = if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() };
    all.iter().find(|column| column.name == name)
}

pub fn unknown_column(rows: Rows, name: &str) -> Wrong {
    let bare = name.trim_matches('"').replace('.', "_").to_lowercase();
    let names = columns(rows).iter().map(|column| column.name.as_str());
    let near = names.map(|known| (strsim::damerau_levenshtein(&bare, known), known)).min();
    let mend = match near {
        Some((distance, near)) if distance <= 1 + bare.len().max(near.len()) / 4 => format!("did you mean {near}?"),
        _ if name.starts_with('"') => {
            format!("a text is in 'single quotes'; an attribute is attributes['{}']", name.trim_matches('"'))
        }
        _ => format!("an attribute is attributes['{name}'], one of the resource resource_attributes['{name}']"),
    };
    Wrong { absent: true, ..Wrong::new(format!("there is no column {name}"), mend) }
}

/// Where a number beside an attribute says that the attribute is meant as one.
fn takes_numbers(op: &BinaryOperator) -> bool {
    use BinaryOperator as B;
    let compares = matches!(op, B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq);
    compares || matches!(op, B::Plus | B::Minus | B::Multiply | B::Divide | B::Modulo)
}

/// An attribute beside a number is taken as a number, NULL if it is none; beside true or false as that word.
fn compare(side: &mut ast::Expr, other: &mut ast::Expr) {
    let Some(text) = attribute(side, BinaryOperator::LongArrow) else { return };
    let literal = match &*other {
        ast::Expr::UnaryOp { expr, .. } => match expr.as_ref() {
            ast::Expr::Value(literal) => literal.value.clone(),
            _ => return,
        },
        ast::Expr::Value(literal) => literal.value.clone(),
        _ => return,
    };
    match literal {
        Value::Number(..) => {
            *side = ast::Expr::Cast {
                kind: CastKind::TryCast,
                expr: Box::new(text),
                data_type: ast::DataType::Double(ast::ExactNumberInfo::None),
                array: false,
                format: None,
            };
        }
        Value::Boolean(bool) => {
            *side = text;
            *other = ast::Expr::Value(Value::SingleQuotedString(bool.to_string()).into());
        }
        _ => {}
    }
}

/// `attributes['a']` as `attributes->>'a'`, `attributes['a']['b']` as `attributes->'a'->>'b'`; the last arrow is `last`.
pub fn attribute(expr: &ast::Expr, last: BinaryOperator) -> Option<ast::Expr> {
    let ast::Expr::CompoundFieldAccess { root, access_chain } = expr else { return None };
    let ast::Expr::Identifier(_) = root.as_ref() else { return None };
    let mut made = root.as_ref().clone();
    for (i, access) in access_chain.iter().enumerate() {
        let AccessExpr::Subscript(Subscript::Index { index }) = access else { return None };
        if !matches!(index, ast::Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_))) {
            return None;
        }
        let op = if i + 1 == access_chain.len() { last.clone() } else { BinaryOperator::Arrow };
        made = ast::Expr::BinaryOp { left: Box::new(made), op, right: Box::new(index.clone()) };
    }
    // What stands around it must not reach into it.
    Some(ast::Expr::Nested(Box::new(made)))
}

fn schema_of(fields: impl IntoIterator<Item = Field>) -> Result<(DFSchema, Arc<Schema>)> {
    let schema = Arc::new(Schema::new(fields.into_iter().collect::<Vec<_>>()));
    Ok((DFSchema::try_from(schema.clone())?, schema))
}

fn session() -> Result<&'static SessionState> {
    let failed = |what: &String| datafusion::error::DataFusionError::Internal(what.clone());
    STATE.as_ref().map_err(failed)
}

fn plan(all: &'static [Column], expr: ast::Expr) -> Result<Expr> {
    let (schema, _) = schema_of(all.iter().map(|column| Field::new(&column.name, column.kind.clone(), true)))?;
    let expr = session()?.create_logical_expr_from_sql_expr(ExprWithAlias { expr, alias: None }, &schema)?;
    functions::precompile(expr)
}

/// What depends on more than the row.
fn check(expr: &Expr) -> std::result::Result<(), Wrong> {
    let mut found = None;
    let _ = expr.apply(|expr| {
        let wrong = match expr {
            Expr::ScalarFunction(function) if function.func.signature().volatility != Volatility::Immutable => {
                let what = format!("function `{}` does not depend on the row only", function.func.name());
                Some(Wrong::new(what, "leave it out: what happens to a row has to be the same at any time"))
            }
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) => Some(Wrong::new(
                "rows are looked at one by one: nothing is aggregated here",
                "use the aggregate processor",
            )),
            Expr::Placeholder(_) | Expr::ScalarVariable(..) => {
                Some(Wrong::new("there is nothing to put in place of a placeholder", "write the value"))
            }
            _ => None,
        };
        found = found.take().or(wrong);
        Ok(TreeNodeRecursion::Continue)
    });
    found.map_or(Ok(()), Err)
}

/// Of the columns of an expression: none, one dictionary, or more than that.
enum Home {
    Nowhere,
    One(&'static str),
    Rows,
}

fn home(all: &'static [Column], expr: &Expr) -> Home {
    let mut homes = expr.column_refs().into_iter().map(|of| all.iter().find(|column| column.name == of.name));
    let Some(first) = homes.next() else { return Home::Nowhere };
    let Some(first) = first.and_then(|column| column.home) else { return Home::Rows };
    match homes.all(|column| column.and_then(|column| column.home) == Some(first)) {
        true => Home::One(first),
        false => Home::Rows,
    }
}

fn assemble(rows: Rows, all: &'static [Column], expr: Expr) -> Result<Program> {
    let whole = step(all, &[], &expr)?;
    let kind = whole.expr.data_type(&whole.schema)?;
    let form = match home(all, &expr) {
        Home::Nowhere => Form::Constant,
        Home::One(home) => Form::Dictionary(Part { home, step: step(all, &[], &expr)? }),
        Home::Rows => {
            let mut parts: Vec<(Expr, &'static str)> = Vec::new();
            let rest = take_apart(all, expr, &mut parts)?.data;
            let parts = parts.into_iter().map(|(expr, home)| Ok(Part { home, step: step(all, &[], &expr)? }));
            let parts = parts.collect::<Result<Vec<_>>>()?;
            let kinds = parts.iter().map(|part| part.step.expr.data_type(&part.step.schema));
            let kinds = kinds.collect::<Result<Vec<_>>>()?;
            let rest = step(all, &kinds, &rest)?;
            Form::Mixed { parts, rest }
        }
    };
    Ok(Program { rows, kind, form, whole })
}

const PART: &str = "$part";

/// `expr` with a column `$part0`, `$part1`, ... in place of each largest part that one dictionary decides.
fn take_apart(all: &'static [Column], expr: Expr, parts: &mut Vec<(Expr, &'static str)>) -> Result<Transformed<Expr>> {
    expr.transform_down(|expr| match home(all, &expr) {
        Home::Nowhere => Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump)),
        Home::Rows => Ok(Transformed::no(expr)),
        Home::One(home) => {
            let known = parts.iter().position(|(part, _)| *part == expr);
            let index = known.unwrap_or_else(|| {
                parts.push((expr, home));
                parts.len() - 1
            });
            let part = datafusion::logical_expr::ident(format!("{PART}{index}"));
            Ok(Transformed::new(part, true, TreeNodeRecursion::Jump))
        }
    })
}

/// `expr` over the columns it uses only.
fn step(all: &'static [Column], parts: &[DataType], expr: &Expr) -> Result<Step> {
    let used = expr.column_refs();
    let is_used = |name: &str| used.iter().any(|column| column.name == name);
    let own = all.iter().filter(|column| is_used(&column.name));
    let own = own.map(|column| (Field::new(&column.name, column.kind.clone(), true), Input::Column(column)));
    let parts = parts.iter().enumerate();
    let parts = parts.map(|(i, kind)| (Field::new(format!("{PART}{i}"), kind.clone(), true), Input::Part(i)));
    let (fields, inputs): (Vec<_>, Vec<_>) = own.chain(parts).unzip();
    let (df_schema, schema) = schema_of(fields)?;
    let expr = session()?.create_physical_expr(expr.clone(), &df_schema)?;
    Ok(Step { expr, schema, inputs })
}
