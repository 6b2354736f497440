//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as the system lets it: a sender, a page and a file take one each, and the usual 1,024 are only the default because
/// of `select`, which nothing here uses.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        Ok(()) => tracing::debug!(from = limit.current, to = limit.maximum, "the limit of open files is raised"),
        Err(error) => tracing::info!(%error, limit = limit.current, "the limit of open files stays as it is"),
    }
}
