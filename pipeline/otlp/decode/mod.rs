//! Bytes to columns. Each signal has a builder that appends to growing columns; values of a resource, scope or metric
//! are filled in as runs when it ends.

pub(crate) mod columns;
mod distributions;
mod logs;
mod metrics;
mod numbers;
mod origin;
mod points;
mod spans;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;

use super::MAX_DEPTH;
use super::any_value::join;
use super::sets::{Sets, with_sets};
use super::wire::{Fault, Reader, Value};
use crate::batch::{Rows, Signal, Table};
use origin::{Resource, Scope};

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    Wire(#[from] Fault),
    #[error("{0}")]
    Arrow(#[from] ArrowError),
}

pub(super) fn decode(signal: Signal, bytes: &[u8]) -> Result<Rows, Error> {
    with_sets(|sets| match signal {
        Signal::Metrics => {
            let mut builder = metrics::Builder::with_capacity(metrics::count(bytes)?);
            resources(bytes, sets, &mut builder)?;
            builder.finish()
        }
        Signal::Logs | Signal::Alerts => {
            let table = if signal == Signal::Logs { Table::Logs } else { Table::Alerts };
            let mut builder = logs::Builder::with_capacity(table, count(bytes)?);
            resources(bytes, sets, &mut builder)?;
            builder.finish()
        }
        Signal::Traces => {
            let mut builder = spans::Builder::with_capacity(count(bytes)?);
            resources(bytes, sets, &mut builder)?;
            builder.finish()
        }
    })
}

/// A signal's growing tables.
trait Items {
    /// A metric, log record or span.
    fn item(&mut self, bytes: &[u8], within: &Within<'_>, sets: &mut Sets) -> Result<(), Fault>;
    fn end_scope(&mut self, scope: &Scope<'_>);
    fn end_resource(&mut self, resource: &Resource<'_>);
}

/// Where an item is from.
struct Within<'a> {
    resource: &'a Resource<'a>,
    scope: &'a Scope<'a>,
}

/// The walk that all requests share: `Resource*` groups of `Scope*` groups of items.
fn resources(bytes: &[u8], sets: &mut Sets, items: &mut impl Items) -> Result<(), Fault> {
    each(bytes, 1, |group| {
        let (resource, schema_url) = head(group)?;
        let resource = Resource::read(resource.as_deref().unwrap_or_default(), schema_url, sets)?;
        each(group, 2, |group| {
            let (scope, schema_url) = head(group)?;
            let scope = scope.unwrap_or_default();
            let scope = Scope::read(&scope, schema_url, sets)?;
            let within = Within { resource: &resource, scope: &scope };
            each(group, 2, |item| items.item(item, &within, sets))?;
            items.end_scope(&scope);
            Ok(())
        })?;
        items.end_resource(&resource);
        Ok(())
    })
}

/// Calls `f` with every message in field `number`.
fn each<'a>(bytes: &'a [u8], number: u32, mut f: impl FnMut(&'a [u8]) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.next()? {
        match value {
            Value::Len(bytes) if field == number => f(bytes)?,
            Value::Group => reader.skip(field, value, MAX_DEPTH)?,
            _ => {}
        }
    }
    Ok(())
}

/// Field 1 (resource or scope) and field 3 (schema URL) of a group; they may come after its items.
#[allow(clippy::type_complexity)]
fn head(group: &[u8]) -> Result<(Option<std::borrow::Cow<'_, [u8]>>, &[u8]), Fault> {
    let (mut head, mut schema_url) = (None, &[][..]);
    let mut reader = Reader::new(group);
    while let Some((field, value)) = reader.next()? {
        match (field, value) {
            (1, Value::Len(bytes)) => join(&mut head, bytes),
            (3, Value::Len(url)) => schema_url = url,
            (_, Value::Group) => reader.skip(field, value, MAX_DEPTH)?,
            _ => {}
        }
    }
    Ok((head, schema_url))
}

/// Log records or spans, so that columns are allocated once, at their size.
fn count(bytes: &[u8]) -> Result<usize, Fault> {
    let mut count = 0;
    each(bytes, 1, |group| {
        each(group, 2, |group| {
            each(group, 2, |_| {
                count += 1;
                Ok(())
            })
        })
    })?;
    Ok(count)
}

fn record_batch(table: Table, columns: Vec<ArrayRef>) -> Result<(Table, RecordBatch), ArrowError> {
    Ok((table, RecordBatch::try_new(table.schema(), columns)?))
}
