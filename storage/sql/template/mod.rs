//! SQL with placeholders, as boards and live queries write it. A placeholder is a token of its own, so a `$x` inside a
//! string, a quoted name or a comment stays what it is; what takes its place is a literal that is written and quoted
//! here, so that no value can become SQL.
//!
//! | placeholder | becomes |
//! |---|---|
//! | `$range` | `ts` from the window's start, less the lookback, until before its end |
//! | `$from`, `$to` | those two times (Timestamp(us, UTC)) |
//! | `$step` | the step as an interval, for `date_bin($step, ts)` |
//! | `$step_seconds` | the step as a number, for rates |
//! | `$NAME` | variable NAME: a string, or a list of strings for `IN $NAME` |
//!
//! Files are pruned by `$range` without naming `date`: see `prune`.

mod place;
mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

pub use render::{Rendered, Variable, Variables, Window};

use super::error::{QueryError, QueryErrorKind};
use super::guard;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Range,
    From,
    To,
    Step,
    StepSeconds,
    Variable,
}

const BUILT_IN: [(&str, Role); 5] = [
    ("range", Role::Range),
    ("from", Role::From),
    ("to", Role::To),
    ("step", Role::Step),
    ("step_seconds", Role::StepSeconds),
];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Placeholder {
    name: String,
    role: Role,
    /// Bytes into the template, at the `$`.
    at: usize,
    /// Follows `IN`: is a list whatever it holds.
    listed: bool,
    /// Follows a comparison: is one value.
    compared: bool,
}

impl Placeholder {
    fn end(&self) -> usize {
        self.at + 1 + self.name.len()
    }
}

/// A template that was read once, to be rendered any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    placeholders: Vec<Placeholder>,
}

impl Template {
    /// Finds the placeholders; whether the rest is SQL shows when it is asked.
    pub fn parse(text: impl Into<String>) -> Result<Template, QueryError> {
        let text = text.into();
        guard::check_length(&text)?;
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, &text).tokenize_with_location().map_err(|error| {
            let position = Some((error.location.line, error.location.column)).filter(|at| at.0 > 0);
            QueryError { position, ..QueryError::new(QueryErrorKind::BadSql, error.message) }
        })?;
        let mut found = Vec::new();
        let mut before: Option<&Token> = None;
        for token in tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))) {
            if let Token::Placeholder(name) = &token.token
                && let Some(name) = name.strip_prefix('$')
            {
                let listed = matches!(before, Some(Token::Word(word)) if word.keyword == Keyword::IN);
                let compared = matches!(before, Some(Token::Eq | Token::Neq));
                let start = token.span.start;
                found.push((name.to_owned(), (start.line, start.column), listed, compared));
            }
            before = Some(&token.token);
        }
        let offsets = place::offsets(&text, found.iter().map(|(_, at, ..)| *at));
        let placeholders = found.into_iter().zip(offsets).map(|((name, position, listed, compared), at)| {
            let role = BUILT_IN.iter().find(|(known, _)| *known == name).map_or(Role::Variable, |(_, role)| *role);
            let placeholder = Placeholder { name, role, at, listed, compared };
            // The tokenizer's count of lines and columns and ours must agree, or a literal would land elsewhere.
            match text.get(at..placeholder.end()) {
                Some(there) if there.strip_prefix('$') == Some(&placeholder.name) => Ok(placeholder),
                _ => Err(QueryError {
                    position: Some(position),
                    ..QueryError::internal(format!("cannot tell where `${}` stands", placeholder.name))
                }),
            }
        });
        let placeholders = placeholders.collect::<Result<_, _>>()?;
        Ok(Template { text, placeholders })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Names of the variables that rendering needs.
    pub fn variables(&self) -> BTreeSet<&str> {
        let variables = self.placeholders.iter().filter(|placeholder| placeholder.role == Role::Variable);
        variables.map(|placeholder| placeholder.name.as_str()).collect()
    }

    /// Whether the text depends on the window or the step: without, there is nothing to do again as time goes by.
    pub fn uses_window(&self) -> bool {
        self.placeholders.iter().any(|placeholder| matches!(placeholder.role, Role::Range | Role::From | Role::To))
    }

    pub fn uses_step(&self) -> bool {
        self.placeholders.iter().any(|placeholder| matches!(placeholder.role, Role::Step | Role::StepSeconds))
    }

    fn error_at(&self, placeholder: &Placeholder, message: String) -> QueryError {
        let position = Some(place::position(&self.text, placeholder.at));
        QueryError { position, ..QueryError::new(QueryErrorKind::BadSql, message) }
    }
}
