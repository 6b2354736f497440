//! A template, a window and values become SQL; and places in that SQL places in the template again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use super::{BUILT_IN, Placeholder, Role, Template, place};
use crate::sql::error::{QueryError, QueryErrorKind};
use crate::sql::guard;

/// Which time a query is about, and how fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Microseconds since 1970; inclusive.
    pub from: i64,
    /// Exclusive.
    pub to: i64,
    /// Read before `from`, so that the first point has its predecessor.
    pub lookback: Duration,
    /// At least a millisecond.
    pub step: Duration,
}

/// What the user chose.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variable {
    One(String),
    Many(Vec<String>),
}

pub type Variables = BTreeMap<String, Variable>;

/// SQL made from a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub sql: String,
    template: String,
    replaced: Vec<Replaced>,
}

/// Byte ranges of a placeholder, and of what took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Replaced {
    template: (usize, usize),
    sql: (usize, usize),
}

impl Template {
    pub fn render(&self, window: &Window, variables: &Variables) -> Result<Rendered, QueryError> {
        let mut sql = String::with_capacity(self.text.len() + 64 * self.placeholders.len());
        let mut replaced = Vec::with_capacity(self.placeholders.len());
        let mut from = 0;
        for placeholder in &self.placeholders {
            sql += &self.text[from..placeholder.at];
            from = placeholder.end();
            let start = sql.len();
            // Blanks keep it apart: `E$x` must not become a string in which a backslash escapes.
            sql.push(' ');
            self.literal(placeholder, window, variables, &mut sql)?;
            sql.push(' ');
            replaced.push(Replaced { template: (placeholder.at, from), sql: (start, sql.len()) });
            // Before the next one: a list repeated is bounded too.
            guard::check_length(&sql).map_err(|error| {
                let message = format!("with the values of its variables the query has {}", error.message);
                QueryError { kind: QueryErrorKind::TooLarge, ..self.error_at(placeholder, message) }
            })?;
        }
        sql += &self.text[from..];
        Ok(Rendered { sql, template: self.text.clone(), replaced })
    }

    fn literal(
        &self,
        placeholder: &Placeholder,
        window: &Window,
        variables: &Variables,
        sql: &mut String,
    ) -> Result<(), QueryError> {
        let from = window.from.saturating_sub(i64::try_from(window.lookback.as_micros()).unwrap_or(i64::MAX));
        match placeholder.role {
            Role::Range => {
                sql.push_str("(ts >= ");
                time(from, sql);
                sql.push_str(" AND ts < ");
                time(window.to, sql);
                sql.push(')');
            }
            Role::From => time(from, sql),
            Role::To => time(window.to, sql),
            Role::Step => {
                let millis = window.step.as_millis().max(1);
                let _ = match millis % 1000 {
                    0 => write!(sql, "INTERVAL '{} seconds'", millis / 1000),
                    _ => write!(sql, "INTERVAL '{millis} milliseconds'"),
                };
            }
            Role::StepSeconds => {
                let _ = write!(sql, "{:?}", window.step.max(Duration::from_millis(1)).as_secs_f64());
            }
            Role::Variable => self.variable(placeholder, variables, sql)?,
        }
        Ok(())
    }

    fn variable(&self, placeholder: &Placeholder, variables: &Variables, sql: &mut String) -> Result<(), QueryError> {
        let name = &placeholder.name;
        match variables.get(name) {
            None => return Err(self.error_at(placeholder, unknown(name, variables))),
            Some(Variable::One(value)) if !placeholder.listed => text(value, sql),
            Some(Variable::One(value)) => list(std::slice::from_ref(value), sql),
            Some(Variable::Many(values)) => match values.as_slice() {
                [value] if placeholder.compared => text(value, sql),
                _ if placeholder.compared => {
                    let message = format!("variable `{name}` can have several values: write `IN ${name}`");
                    return Err(self.error_at(placeholder, message));
                }
                values => list(values, sql),
            },
        }
        Ok(())
    }
}

fn unknown(name: &str, variables: &Variables) -> String {
    let known = BUILT_IN.iter().map(|(name, _)| *name).chain(variables.keys().map(String::as_str));
    let known = known.map(|name| format!("${name}")).collect::<Vec<_>>().join(", ");
    format!("`${name}` is no placeholder here; there are {known}")
}

/// A timestamp of the very type of `ts`: SQL's own `TIMESTAMP '...'` has nanoseconds, and comparing would convert the
/// column instead of the literal. Years 1 to 9999.
fn time(micros: i64, sql: &mut String) {
    const FIRST: i64 = -62_135_596_800_000_000;
    const LAST: i64 = 253_402_300_799_999_999;
    let time = DateTime::<Utc>::from_timestamp_micros(micros.clamp(FIRST, LAST)).unwrap_or_default();
    let time = time.to_rfc3339_opts(SecondsFormat::Micros, true);
    let _ = write!(sql, "arrow_cast('{time}', 'Timestamp(Microsecond, Some(\"UTC\"))')");
}

fn text(value: &str, sql: &mut String) {
    sql.push('\'');
    for part in value.split_inclusive('\'') {
        sql.push_str(part);
        if part.ends_with('\'') {
            sql.push('\'');
        }
    }
    sql.push('\'');
}

/// `IN` of nothing is no SQL; nothing equals NULL.
fn list(values: &[String], sql: &mut String) {
    sql.push('(');
    for (n, value) in values.iter().enumerate() {
        if n > 0 {
            sql.push_str(", ");
        }
        // What is too long is refused when it is known; there is no need to make it whole.
        if sql.len() > guard::MAX_TEXT {
            return;
        }
        text(value, sql);
    }
    sql.push_str(if values.is_empty() { "NULL)" } else { ")" });
}

impl Rendered {
    /// The error as the template's author should see it: with its position in the template.
    pub fn locate(&self, error: QueryError) -> QueryError {
        let position = error.position.map(|position| self.position(position));
        QueryError { position, ..error }
    }

    fn position(&self, at: (u64, u64)) -> (u64, u64) {
        let at = place::offsets(&self.sql, [at].into_iter()).first().copied().unwrap_or(0);
        let mut template = at;
        for replaced in self.replaced.iter().take_while(|replaced| replaced.sql.0 <= at) {
            template = match at < replaced.sql.1 {
                true => replaced.template.0,
                false => replaced.template.1 + (at - replaced.sql.1),
            };
        }
        place::position(&self.template, template)
    }
}
