//! Which of the lake's tables a query reads, and what names it asked for in vain: noted while it is planned.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

use super::error::{QueryError, QueryErrorKind};
use super::tables::{CATALOG, SCHEMA};
use crate::catalog::Catalog;
use crate::lake::lock;
use crate::schema::{LakeTable, TABLES};

/// A set of the lake's tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tables(u16);

const _: () = assert!(TABLES.len() <= u16::BITS as usize);

impl Tables {
    pub const NONE: Tables = Tables(0);
    pub const ALL: Tables = Tables((1 << TABLES.len()) - 1);

    /// `None`: there is no such table.
    pub fn named(name: &str) -> Option<Tables> {
        LakeTable::by_name(name).map(Tables::from)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub fn with(self, other: Tables) -> Tables {
        Tables(self.0 | other.0)
    }

    pub fn contains(self, other: Tables) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        TABLES.into_iter().filter(move |table| self.contains((*table).into())).map(LakeTable::name)
    }
}

impl From<LakeTable> for Tables {
    fn from(table: LakeTable) -> Tables {
        Tables(1 << table.index())
    }
}

/// Names longer than this are not compared.
const LONGEST_NAME: usize = 128;
/// Names compared.
const COMPARED: usize = 5000;
const MISSING_KEPT: usize = 64;

/// What one query asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    read: AtomicU16,
    missing: Mutex<Vec<String>>,
}

impl Asked {
    pub(super) fn note(&self, table: LakeTable) {
        self.read.fetch_or(Tables::from(table).0, Ordering::Relaxed);
    }

    pub(super) fn note_missing(&self, name: &str) {
        let mut missing = lock(&self.missing);
        if missing.len() < MISSING_KEPT {
            missing.push(name.to_owned());
        }
    }

    pub(super) fn tables(&self) -> Tables {
        Tables(self.read.load(Ordering::Relaxed))
    }

    /// A name that does not resolve is told from other mistakes: the data may come yet.
    pub(super) fn explain(&self, error: QueryError, catalog: &Mutex<Catalog>) -> QueryError {
        let name = error.message.split_once("table '").and_then(|(_, rest)| rest.rsplit_once("' not found"));
        let Some((name, _)) = name.filter(|_| error.kind == QueryErrorKind::BadSql) else { return error };
        let own = name.strip_prefix(CATALOG).and_then(|rest| rest.strip_prefix('.'));
        let own = own.and_then(|rest| rest.strip_prefix(SCHEMA)?.strip_prefix('.'));
        let (kind, message) = match own {
            Some(own) if lock(&self.missing).iter().any(|missing| missing == own) => {
                let near = nearest(own, catalog).map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
                (QueryErrorKind::NoDataYet, format!("there is no table or metric `{own}`, or not yet{near}"))
            }
            Some(_) => return error,
            None => {
                let name = name.strip_prefix(CATALOG).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name);
                let message = format!("there is no table `{name}`; a name with dots is quoted: FROM \"{name}\"");
                (QueryErrorKind::BadSql, message)
            }
        };
        QueryError { kind, message, position: error.position }
    }
}

fn nearest(name: &str, catalog: &Mutex<Catalog>) -> Option<String> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let near = |other: &&str| other.len() <= LONGEST_NAME && other.len().abs_diff(name.len()) <= 4;
    let tables = TABLES.into_iter().map(LakeTable::name).filter(near).map(str::to_owned);
    let mut names = tables.collect::<Vec<_>>();
    names.extend(lock(catalog).metrics().map(|(name, _)| name.as_str()).filter(near).take(COMPARED).map(str::to_owned));
    let name = name.to_lowercase();
    let scored = names.into_iter().map(|other| (strsim::osa_distance(&name, &other.to_lowercase()), other));
    let allowed = 1 + name.chars().count() / 5;
    scored.filter(|(distance, _)| *distance <= allowed).min().map(|(_, other)| other)
}
