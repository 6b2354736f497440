//! Rule files, as Prometheus has them.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use catchment_pipeline::config::{Report, Section, Severity};

use super::{Settings, groups};
use crate::alerting::rules::Group;

const MAX_BYTES: u64 = 1 << 20;
const MAX_FILES: usize = 1000;

/// All rules there are.
#[derive(Default)]
pub struct Loaded {
    pub groups: Vec<Group>,
    /// What is wrong with the files, ready to print.
    pub mistakes: Vec<String>,
}

/// Those of the settings, and those of the files that they name.
pub fn load(settings: &Settings) -> Loaded {
    let mut loaded = Loaded { groups: settings.groups.clone(), mistakes: Vec::new() };
    let mut files = BTreeMap::new();
    for pattern in &settings.rule_files {
        match matching(pattern) {
            Ok(found) => files.extend(found.into_iter().map(|file| (file, ()))),
            Err(error) => loaded.mistakes.push(format!("rule_files: {pattern}: {error}")),
        }
    }
    if files.len() > MAX_FILES {
        loaded.mistakes.push(format!("rule_files: there are {} files, more than {MAX_FILES}", files.len()));
        return loaded;
    }
    for file in files.keys() {
        let read = read_file(file, settings.interval);
        loaded.groups.extend(read.groups);
        loaded.mistakes.extend(read.mistakes);
    }
    loaded
}

pub fn read_file(file: &Path, interval: Duration) -> Loaded {
    let name = file.display().to_string();
    let text = match text(file) {
        Ok(text) => text,
        Err(error) => return Loaded { mistakes: vec![format!("{name}: {error}")], ..Loaded::default() },
    };
    let report = Report::default();
    let groups = match Section::read(&text, &name, &report) {
        Some(mut section) => groups(&mut section, &name, interval),
        None => Vec::new(),
    };
    let errors = report.mistakes().into_iter().filter(|mistake| mistake.severity == Severity::Error);
    Loaded { groups, mistakes: errors.map(|mistake| mistake.to_string()).collect() }
}

fn text(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    std::fs::File::open(file)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    anyhow::ensure!(text.len() as u64 <= MAX_BYTES, "it has more than {MAX_BYTES} bytes: split it");
    Ok(text)
}

/// A path whose last part may have `*` and `?`. One without must be there.
fn matching(pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    let path = Path::new(pattern);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    anyhow::ensure!(
        !folder.to_string_lossy().contains(['*', '?', '[']),
        "only a file's name may have a wildcard, not its folder"
    );
    if !name.contains(['*', '?']) {
        anyhow::ensure!(path.is_file(), "there is no such file");
        return Ok(vec![path.to_owned()]);
    }
    let wild = regex::escape(name).replace(r"\*", ".*").replace(r"\?", ".");
    let wild = regex::Regex::new(&format!("^{wild}$"))?;
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // As in Prometheus, a pattern may match nothing.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| wild.is_match(name)) && entry.path().is_file() {
            found.push(folder.join(entry.file_name()));
        }
    }
    found.sort();
    Ok(found)
}
