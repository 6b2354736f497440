//! A secret from the configuration or from a file that it names.

use catchment_pipeline::config::{Secret, Section};

const LARGEST: u64 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Here(Secret),
    /// Looked at for each attempt, so that it may be changed under way.
    File(String),
}

impl Source {
    /// `key` or `key_file`; both are a mistake.
    pub fn read(section: &mut Section, key: &str) -> Option<Source> {
        let file_key = format!("{key}_file");
        let here = section.get::<Secret>(key).filter(|secret| !secret.0.trim().is_empty());
        let file = section.get::<String>(&file_key).filter(|path| !path.is_empty());
        if here.is_some() && file.is_some() {
            let mend = format!("keep {file_key} only, or {key} as ${{env:NAME}}");
            section.mistake(&file_key, format!("{key} and {file_key} exclude each other"), mend);
        }
        here.map(Source::Here).or(file.map(Source::File))
    }

    pub fn required(section: &mut Section, key: &str) -> Option<Source> {
        let found = Source::read(section, key);
        if found.is_none() && !section.has(key) {
            let mend = format!("add {key}: ${{env:NAME}}, or {key}_file: with the path of a file that holds it");
            section.mistake("", format!("\"{key}\" is required"), mend);
        } else if found.is_none() {
            section.mistake(key, "is empty", format!("write {key}: ${{env:NAME}}, or name a file with {key}_file"));
        }
        found
    }

    /// Without the line break that a file ends in.
    pub async fn text(&self) -> Result<String, String> {
        match self {
            Source::Here(secret) => Ok(secret.0.trim().to_owned()),
            Source::File(path) => {
                let wrong = |error: std::io::Error| format!("cannot read the secret in {path}: {error}");
                let size = tokio::fs::metadata(path).await.map_err(wrong)?.len();
                if size > LARGEST {
                    return Err(format!("the secret in {path} is larger than {} KiB", LARGEST >> 10));
                }
                let text = tokio::fs::read_to_string(path).await.map_err(wrong)?;
                match text.trim() {
                    "" => Err(format!("{path} is empty, and should hold a secret")),
                    text => Ok(text.to_owned()),
                }
            }
        }
    }
}

/// `text` without any of the secrets, which a destination may have said back.
pub(crate) fn redacted<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = text.to_owned();
    for secret in secrets.into_iter().filter(|secret| secret.len() > 3) {
        text = text.replace(secret, "[REDACTED]");
    }
    text
}
