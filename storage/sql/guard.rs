//! What is refused before DataFusion sees it: anything but one read-only statement, and SQL so long or deep that
//! planning it would exhaust a stack (DataFusion aborts the process then, see apache/datafusion#22229).
//!
//! | limit | value |
//! |---|---|
//! | text | 64 KiB |
//! | tokens | 10,000 |
//! | operators and keywords that nest (`+`, `AND`, `CASE`, `SELECT`, `UNION`, `JOIN`, ...) | 400 |
//! | open parentheses and brackets | 40 |
//! | tables named | 32 |
//! | parts of structs and tuples, by SELECT, multiplied | 10,000 |

use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{self, Expr, FunctionArguments, Select, TableFactor, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::error::{QueryError, QueryErrorKind, position_in};

pub(super) const MAX_TEXT: usize = 64 << 10;
const MAX_TOKENS: usize = 10_000;
const MAX_NESTING_WORDS: usize = 400;
const MAX_PARENTHESES: usize = 40;
const MAX_TABLES: usize = 32;
/// A struct of a subquery's struct has the product of their parts, and DataFusion looks at each while it plans.
const MAX_STRUCT_PARTS: usize = 10_000;

/// Make values as large as they are told to, outside the memory pool.
const BANNED_FUNCTIONS: [&str; 13] = [
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

/// The one statement, if it is allowed. Parses on the caller's stack: give it a large one.
pub(super) fn check(sql: &str) -> Result<Statement, QueryError> {
    check_tokens(sql)?;
    let statements = DFParserBuilder::new(sql)
        .with_dialect(&PostgreSqlDialect {})
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(QueryError::from_datafusion)?;
    let mut statements = statements.into_iter();
    let Some(statement) = statements.next() else {
        return Err(QueryError::new(QueryErrorKind::BadSql, "there is no statement"));
    };
    if statements.next().is_some() {
        return Err(QueryError::refused("one statement at a time: remove what follows the first `;`"));
    }
    check_statement(&statement)?;
    Ok(statement)
}

pub(super) fn check_length(sql: &str) -> Result<(), QueryError> {
    if sql.len() > MAX_TEXT {
        return Err(QueryError::too_large(format!("{} bytes of SQL; at most {MAX_TEXT}", sql.len())));
    }
    Ok(())
}

fn check_tokens(sql: &str) -> Result<(), QueryError> {
    check_length(sql)?;
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().map_err(|error| QueryError {
        position: Some((error.location.line, error.location.column)).filter(|at| at.0 > 0),
        ..QueryError::new(QueryErrorKind::BadSql, error.message)
    })?;
    let (mut count, mut nesting, mut open) = (0usize, 0usize, 0usize);
    for token in tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))) {
        count += 1;
        match token {
            Token::LParen => open += 1,
            // `a[1][2]` nests without ever being deep in brackets.
            Token::LBracket | Token::LBrace => (open, nesting) = (open + 1, nesting + 1),
            Token::RParen | Token::RBracket | Token::RBrace => open = open.saturating_sub(1),
            Token::Word(word) => nesting += usize::from(nests(word.keyword)),
            Token::Comma | Token::SemiColon | Token::Period | Token::EOF | Token::Number(..) => {}
            Token::SingleQuotedString(_) | Token::DollarQuotedString(_) | Token::Placeholder(_) => {}
            _ => nesting += 1,
        }
        if open > MAX_PARENTHESES {
            return Err(QueryError::too_large(format!("parentheses nest deeper than {MAX_PARENTHESES}")));
        }
    }
    if count > MAX_TOKENS {
        return Err(QueryError::too_large(format!("{count} tokens; at most {MAX_TOKENS}")));
    }
    if nesting > MAX_NESTING_WORDS {
        return Err(QueryError::too_large(format!(
            "{nesting} operators and nesting keywords; at most {MAX_NESTING_WORDS} (use IN (...) for long OR chains)"
        )));
    }
    Ok(())
}

/// Words that make the tree of the statement one level deeper each time, as operators do.
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
            | K::EXPLAIN
            | K::CAST
            | K::TRY_CAST
            | K::AT
            | K::COLLATE
            | K::INTERVAL
            | K::SELECT
            | K::WITH
            | K::VALUES
            | K::UNION
            | K::EXCEPT
            | K::INTERSECT
            | K::JOIN
            | K::LATERAL
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

fn check_statement(statement: &Statement) -> Result<(), QueryError> {
    match statement {
        Statement::Statement(statement) => check_sql(statement),
        // Also with ANALYZE: the statement within is held to the same limits as one that stands alone.
        Statement::Explain(explain) => check_statement(&explain.statement),
        Statement::CopyTo(_) => Err(not_read_only("COPY")),
        Statement::CreateExternalTable(_) => Err(not_read_only("CREATE EXTERNAL TABLE")),
        Statement::Reset(_) => Err(not_read_only("RESET")),
    }
}

fn not_read_only(what: &str) -> QueryError {
    QueryError::refused(format!("{what} is refused: only queries are allowed here"))
}

fn check_sql(statement: &ast::Statement) -> Result<(), QueryError> {
    match statement {
        ast::Statement::Query(_)
        | ast::Statement::ShowTables { .. }
        | ast::Statement::ShowColumns { .. }
        | ast::Statement::ExplainTable { .. } => {}
        ast::Statement::Explain { statement, .. } => return check_sql(statement),
        other => {
            let text = other.to_string();
            let verb = text.split_whitespace().next().unwrap_or("this").to_uppercase();
            return Err(not_read_only(&verb));
        }
    }
    match statement.visit(&mut Rules::default()) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rules {
    tables: usize,
    statements: usize,
    /// Of structs, in each SELECT that is open.
    parts: Vec<usize>,
    /// Of those that are closed.
    product: usize,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { tables: 0, statements: 0, parts: vec![0], product: 1 }
    }
}

/// How many parts a struct made here has.
fn struct_parts(expr: &Expr) -> usize {
    match expr {
        Expr::Struct { values, .. } => values.len(),
        Expr::Tuple(values) => values.len(),
        Expr::Dictionary(fields) => fields.len(),
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            let makes = ["struct", "row", "named_struct", "arrays_zip", "list_zip", "map", "make_map"];
            match &function.args {
                FunctionArguments::List(list) if makes.iter().any(|makes| name.ends_with(makes)) => list.args.len(),
                _ => 0,
            }
        }
        _ => 0,
    }
}

impl Rules {
    fn check_function(&self, name: &ast::ObjectName) -> ControlFlow<QueryError> {
        let name = name.to_string().to_lowercase();
        let last = name.rsplit('.').next().unwrap_or_default().trim_matches('"');
        if BANNED_FUNCTIONS.contains(&last) {
            return ControlFlow::Break(QueryError::refused(format!("function `{last}` is not allowed here")));
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Rules {
    type Break = QueryError;

    fn pre_visit_statement(&mut self, statement: &ast::Statement) -> ControlFlow<QueryError> {
        self.statements += 1;
        match statement {
            ast::Statement::Query(_) => ControlFlow::Continue(()),
            _ if self.statements == 1 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(not_read_only("a data-changing statement inside a query")),
        }
    }

    fn post_visit_select(&mut self, _select: &Select) -> ControlFlow<QueryError> {
        let parts = self.parts.pop().unwrap_or(0);
        self.product = self.product.saturating_mul(parts.max(1));
        match self.product > MAX_STRUCT_PARTS {
            true => ControlFlow::Break(QueryError::too_large("structs of structs in subqueries have too many parts")),
            false => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<QueryError> {
        self.parts.push(0);
        match select.into {
            Some(_) => ControlFlow::Break(not_read_only("SELECT INTO")),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<QueryError> {
        self.tables += 1;
        if self.tables > MAX_TABLES {
            return ControlFlow::Break(QueryError::too_large(format!("more than {MAX_TABLES} tables in one query")));
        }
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                ControlFlow::Break(QueryError::refused(format!("table function `{name}` is not allowed here")))
            }
            TableFactor::TableFunction { .. } => {
                ControlFlow::Break(QueryError::refused("table functions are not allowed here"))
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<QueryError> {
        if let Some(parts) = self.parts.last_mut() {
            *parts += struct_parts(expr);
        }
        match expr {
            Expr::Function(function) => self.check_function(&function.name),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl QueryError {
    pub(super) fn syntax(message: &str) -> QueryError {
        if message.to_lowercase().contains("recursion limit") {
            return QueryError::too_large("the statement nests too deeply");
        }
        QueryError { position: position_in(message), ..QueryError::new(QueryErrorKind::BadSql, message) }
    }
}
