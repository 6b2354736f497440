#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod expand;
mod graph;
mod load;
mod section;
mod yaml;

use std::collections::HashMap;

use super::Environment;

/// An environment and files that a test makes up.
#[derive(Default)]
struct World {
    vars: HashMap<String, String>,
    files: HashMap<String, String>,
}

impl World {
    fn var(mut self, name: &str, text: &str) -> World {
        self.vars.insert(name.to_owned(), text.to_owned());
        self
    }

    fn file(mut self, path: &str, text: &str) -> World {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }
}

impl Environment for World {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        self.files.get(path).cloned().ok_or_else(|| "No such file or directory (os error 2)".to_owned())
    }
}
