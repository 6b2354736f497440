//! What may import what: `ARCHITECTURE.md`'s table, held against `cargo metadata`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Crate by crate, everything of ours that it may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("catchment-pipeline", &[]),
    ("catchment-receivers", &["catchment-pipeline"]),
    ("catchment-processors", &["catchment-pipeline", "catchment-storage"]),
    ("catchment-storage", &["catchment-pipeline"]),
    ("catchment-exporters", &["catchment-pipeline", "catchment-storage"]),
    ("catchment-dashboard", &["catchment-pipeline", "catchment-storage"]),
    (
        "catchment",
        &[
            "catchment-dashboard",
            "catchment-exporters",
            "catchment-pipeline",
            "catchment-processors",
            "catchment-receivers",
            "catchment-storage",
        ],
    ),
    ("xtask", &[]),
];

#[test]
fn crates_import_what_the_architecture_says() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(ours, allowed.keys().copied().collect(), "a crate is missing here and in ARCHITECTURE.md");
    for package in &metadata.packages {
        let imports = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        for import in imports.filter(|dependency| ours.contains(dependency.name.as_str())) {
            let may = allowed[package.name.as_str()];
            assert!(
                may.contains(&import.name.as_str()),
                "{} imports {}, and may import only {may:?}: see ARCHITECTURE.md",
                package.name,
                import.name
            );
        }
    }
}

#[test]
fn the_architecture_names_every_crate() {
    let map = include_str!("../ARCHITECTURE.md");
    for (name, _) in MAY_IMPORT {
        assert!(map.contains(&format!("`{name}`")), "ARCHITECTURE.md does not name {name}");
    }
}

/// The engine runs components, and knows none of them.
#[test]
fn the_engine_names_no_component() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/pipeline/engine");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for kind in ["otlp_http", "otlp_grpc", "host_metrics", "parquet", "memory_limiter"] {
                assert!(!line.contains(kind), "{}: {line}", path.display());
            }
        }
    }
}
