//! What is wrong with a configuration, where, and how to mend it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::node::Place;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but somebody should look.
    Warning,
    /// A key that is accepted and changes nothing here, and why.
    Note,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub severity: Severity,
    pub place: Place,
    /// `exporters::otlp_http::timeout`; empty where only the text is wrong.
    pub path: String,
    pub what: String,
    /// Empty where `what` says it all.
    pub mend: String,
}

impl fmt::Display for Mistake {
    /// One line saying where and what, and a second one saying how to mend it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        match self.severity {
            Severity::Error => {}
            Severity::Warning => f.write_str("warning: ")?,
            Severity::Note => f.write_str("note: ")?,
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)?;
        if !self.mend.is_empty() {
            write!(f, "\n    help: {}", self.mend)?;
        }
        Ok(())
    }
}

/// Where everything that reads one configuration writes what it finds. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Report(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    mistakes: Vec<Mistake>,
    secrets: BTreeSet<String>,
}

impl Report {
    pub fn add(&self, mistake: Mistake) {
        let mut found = self.found();
        // The same node may be reached twice, through an alias: say it once.
        if !found.mistakes.contains(&mistake) {
            found.mistakes.push(mistake);
        }
    }

    pub fn error(&self, place: &Place, path: &str, what: impl Into<String>, mend: impl Into<String>) {
        self.say(Severity::Error, place, path, what, mend);
    }

    pub fn warning(&self, place: &Place, path: &str, what: impl Into<String>, mend: impl Into<String>) {
        self.say(Severity::Warning, place, path, what, mend);
    }

    pub fn note(&self, place: &Place, path: &str, what: impl Into<String>, mend: impl Into<String>) {
        self.say(Severity::Note, place, path, what, mend);
    }

    fn say(&self, severity: Severity, place: &Place, path: &str, what: impl Into<String>, mend: impl Into<String>) {
        let (what, mend) = (what.into(), mend.into());
        self.add(Mistake { severity, place: place.clone(), path: path.to_owned(), what, mend });
    }

    pub fn has_errors(&self) -> bool {
        self.found().mistakes.iter().any(|mistake| mistake.severity == Severity::Error)
    }

    /// Everything found, in the order of the files.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = self.found().mistakes.clone();
        mistakes.sort_by(|a, b| a.place.cmp(&b.place));
        mistakes
    }

    /// The paths of values that were read as secrets: they are not to be printed.
    pub fn secrets(&self) -> BTreeSet<String> {
        self.found().secrets.clone()
    }

    pub(super) fn secret(&self, path: &str) {
        self.found().secrets.insert(path.to_owned());
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The known name closest to `name`, if it is close enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(name.len()) / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The mend for an unknown name: the nearest known one, or what there is.
pub(crate) fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone, plural: &str) -> String {
    if let Some(near) = nearest(name, known.clone()) {
        return format!("did you mean \"{near}\"?");
    }
    let mut known = known.into_iter().collect::<Vec<_>>();
    known.sort_unstable();
    match known.len() {
        0 => format!("there are no {plural} here"),
        1..=24 => format!("{plural}: {}", known.join(", ")),
        _ => format!("{plural}: {}, ...", known.get(..24).unwrap_or_default().join(", ")),
    }
}
