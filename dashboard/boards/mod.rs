//! Boards: pages of charts, each a YAML file that `docs/boards.md` documents. Some are part of the binary
//! (`configs/dashboards`); those of the folder `boards` come beside them, or in the place of one with the same file name.
//!
//! They are read when the server starts, and a mistake keeps it from starting: all mistakes are listed, each with its place
//! and mend. At most [`MOST_FILES`] files of 1 MiB.

mod board;
mod read;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use axum::Json;
use axum::extract::{Path as UrlPath, State};
use catchment_pipeline::config::{Report, Severity};
use http::StatusCode;
use serde_json::{Value, json};

use self::board::Board;
use crate::App;
use crate::problem::Problem;

const MOST_FILES: usize = 200;
const MOST_BYTES: u64 = 1 << 20;
const LONGEST_ID: usize = 64;

mod built_in {
    include!(concat!(env!("OUT_DIR"), "/boards.rs"));
}

/// All boards there are, in the order in which they are listed: of hosts, of services, others.
#[derive(Debug)]
pub struct Boards(Vec<Board>);

impl Boards {
    /// Blocks.
    pub fn load(folder: Option<&str>) -> anyhow::Result<Boards> {
        let report = Report::default();
        let mut boards = Vec::new();
        for (id, text) in built_in::FILES {
            boards.extend(read::board(id, text, &format!("configs/dashboards/{id}.yaml"), &report));
        }
        for (id, path) in folder.map(|folder| files(Path::new(folder))).transpose()?.unwrap_or_default() {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            let Some(board) = read::board(&id, &text, &path, &report) else { continue };
            match boards.iter_mut().find(|board| board.id == id) {
                Some(built_in) => *built_in = board,
                None => boards.push(board),
            }
        }
        let (wrong, remarks): (Vec<_>, Vec<_>) =
            report.mistakes().into_iter().partition(|mistake| mistake.severity == Severity::Error);
        remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
        if !wrong.is_empty() {
            let list = wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            bail!("boards with {} mistakes:\n{list}", wrong.len());
        }
        boards.sort_by(|a, b| (a.place(), &a.title).cmp(&(b.place(), &b.title)));
        Ok(Boards(boards))
    }

    fn get(&self, id: &str) -> Option<&Board> {
        self.0.iter().find(|board| board.id == id)
    }
}

/// `*.yaml` and `*.yml` of the folder, by name: (id, path).
fn files(folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let named = || format!("cannot read the boards in {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(named)? {
        let path = entry.with_context(named)?.path();
        let kind = path.extension().and_then(|kind| kind.to_str());
        if !matches!(kind, Some("yaml" | "yml")) || !path.is_file() {
            continue;
        }
        let shown = path.display().to_string();
        let id = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if !is_id(id) {
            bail!("{shown}: a board's file name is its address: at most {LONGEST_ID} of a-z, 0-9, - and _; rename it");
        }
        if path.metadata().with_context(named)?.len() > MOST_BYTES {
            bail!("{shown} is larger than 1 MiB: make it several boards");
        }
        files.push((id.to_owned(), shown));
    }
    if files.len() > MOST_FILES {
        bail!("{} has {} boards; at most {MOST_FILES}", folder.display(), files.len());
    }
    files.sort();
    if let Some(pair) = files.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        bail!("{} and {} are the same board: remove one", pair[0].1, pair[1].1);
    }
    Ok(files)
}

fn is_id(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    (1..=LONGEST_ID).contains(&text.len()) && text.chars().all(fits)
}

pub async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    let boards = app.boards.0.iter().map(
        |board| json!({"id": board.id, "title": board.title, "description": board.description, "icon": board.icon}),
    );
    Json(json!({"boards": boards.collect::<Vec<_>>()}))
}

pub async fn one(State(app): State<Arc<App>>, UrlPath(id): UrlPath<String>) -> Result<Json<Board>, Problem> {
    let board = app.boards.get(&id).cloned();
    board.map(Json).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such board; see /api/v1/boards for all of them")
    })
}
