//! The browser app's own checks (`npm test` in dashboard/web: types, lint, unit tests, the build and its size), and that the
//! committed `dist/` is what its sources give.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/peers.rs"]
mod peers;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

#[test]
fn the_browser_app_passes_its_checks_and_its_build_is_the_committed_one() {
    let Some(web) = peers::find("web") else { return };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard/web");
    // In a copy, so that the working tree stays as it is.
    let work = tempfile::tempdir_in(&web).unwrap();
    copy(&source, work.path());
    std::os::unix::fs::symlink(web.join("node_modules"), work.path().join("node_modules")).unwrap();
    let output = Command::new("npm")
        .args(["test", "--silent"])
        .current_dir(work.path())
        .env("NO_COLOR", "1")
        .output()
        .expect("npm was there when the app's packages were installed");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "npm test fails in dashboard/web:\n{}", String::from_utf8_lossy(&said));

    let (built, committed) = (files(&work.path().join("dist")), files(&source.join("dist")));
    let names = |of: &BTreeMap<String, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
    let again = "dashboard/web/dist is not what its sources give: run `npm ci && npm run build` there and commit it";
    assert_eq!(names(&built), names(&committed), "{again}");
    let differing: Vec<_> =
        built.iter().filter(|(name, bytes)| committed[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(differing.is_empty(), "{again}: {differing:?}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, kind) = (entry.file_name(), entry.file_type().unwrap());
        if ["node_modules", "dist", "shots"].iter().any(|left| name == *left) {
            continue;
        }
        if kind.is_dir() {
            copy(&entry.path(), &to.join(name));
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

/// By path within `folder`.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap_or_else(|e| panic!("{}: {e}", next.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}
