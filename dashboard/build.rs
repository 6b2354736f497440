//! What the server embeds: the browser app, as `dashboard/web` was built to `dist`, and the boards of `configs/dashboards`.
//!
//! Building Catchment needs no Node, so `dist` is part of the repository; without it there would be a server with a blank
//! page, so the build ends here.

#![allow(clippy::print_stdout)] // is how a build script speaks

use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    fs::write(out.join("boards.rs"), boards(&here.join("../configs/dashboards"))?)?;
    let dist = here.join("web/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    if !dist.join("index.html").is_file() {
        println!(
            "cargo::error=dashboard/web/dist/index.html is missing: the browser app is part of the repository; \
             get it back with `git checkout dashboard/web/dist`, or build it with `cd dashboard/web && npm ci && npm run build`"
        );
        return Ok(());
    }
    let mut files = Vec::new();
    walk(&dist, &mut files)?;
    files.sort();
    let mut table = String::from("pub const FILES: &[File] = &[\n");
    for path in files {
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        if matches!(kind, "br" | "gz") {
            continue;
        }
        let name = path.strip_prefix(&dist)?.to_str().ok_or("a file's name is not UTF-8")?.replace('\\', "/");
        let media = media_type(kind).ok_or_else(|| format!("{name}: of what media type? Teach dashboard/build.rs"))?;
        let mut hasher = DefaultHasher::new();
        fs::read(&path)?.hash(&mut hasher);
        let packed = |suffix: &str| {
            let packed = PathBuf::from(format!("{}.{suffix}", path.display()));
            if packed.is_file() { format!("Some(include_bytes!({packed:?}))") } else { "None".to_owned() }
        };
        writeln!(
            table,
            "    File {{ name: {name:?}, media_type: {media:?}, tag: \"\\\"{:016x}\\\"\", plain: include_bytes!({path:?}), brotli: {}, gzip: {} }},",
            hasher.finish(),
            packed("br"),
            packed("gz"),
        )?;
    }
    table.push_str("];\n");
    fs::write(out.join("assets.rs"), table)?;
    Ok(())
}

/// (id, text) of each.
fn boards(folder: &Path) -> Result<String, Box<dyn Error>> {
    let mut files = Vec::new();
    walk(folder, &mut files)?;
    files.sort();
    let mut table = String::from("pub const FILES: &[(&str, &str)] = &[\n");
    for path in files.iter().filter(|path| path.extension().is_some_and(|kind| kind == "yaml")) {
        println!("cargo::rerun-if-changed={}", path.display());
        let id = path.file_stem().and_then(|stem| stem.to_str()).ok_or("a board's name is not UTF-8")?;
        writeln!(table, "    ({id:?}, include_str!({path:?})),")?;
    }
    table.push_str("];\n");
    Ok(table)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn media_type(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}
