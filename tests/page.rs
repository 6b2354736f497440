//! The page in a real Chromium, on the whole binary with its built-in configuration, fed by the official Python SDK
//! (examples/shop). The checks are `tests/page/*.mjs`, which also run by hand: `node tests/page/all.mjs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/peers.rs"]
mod peers;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// As sent: gzip is the larger of the two encodings that are served.
const FIRST_LOAD: u64 = 150 * 1024;

#[test]
fn the_page_does_what_it_is_for_in_a_real_browser() {
    // Both are asked for, so that both are named when they are missing.
    let (Some(browser), Some(_python)) = (peers::find("browser"), peers::python()) else { return };
    let repo = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("node")
        .args(["--test-reporter=spec", "tests/page/all.mjs"])
        .current_dir(repo)
        .env("CATCHMENT_BINARY", env!("CARGO_BIN_EXE_catchment"))
        .env("CATCHMENT_PEERS", browser.parent().unwrap())
        .env("NO_COLOR", "1")
        .output()
        .expect("node was there when the browser was installed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        said.lines().any(|line| line.trim_start_matches(['ℹ', '#', ' ']).starts_with("pass ")),
        "no check ran: {said}"
    );
}

#[test]
fn the_first_load_is_small() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard/web/dist");
    let index = std::fs::read_to_string(dist.join("index.html")).unwrap();
    let mut wanted: Vec<String> =
        quoted(&index).filter_map(|text| text.strip_prefix("/assets/")).map(str::to_owned).collect();
    wanted.retain(|name| name.ends_with(".js"));
    assert!(!wanted.is_empty(), "index.html loads no script");
    let (mut seen, mut bytes) = (BTreeSet::new(), 0);
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let path = dist.join("assets").join(&name);
        let packed = path.with_extension("js.gz");
        bytes += std::fs::metadata(if packed.exists() { &packed } else { &path }).unwrap().len();
        let source = std::fs::read_to_string(&path).unwrap();
        // What is imported when the file is loaded; `import("./x.js")` waits until it is called.
        for keyword in ["from", "import"] {
            let imports =
                source.split(keyword).skip(1).filter_map(|rest| quoted(rest).next().filter(|name| starts(rest, name)));
            wanted.extend(imports.filter_map(|name| name.strip_prefix("./")).map(str::to_owned));
        }
    }
    assert!(bytes <= FIRST_LOAD, "{bytes} bytes of JavaScript in {seen:?}");
}

/// What stands in quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split(['"', '\'']).skip(1).step_by(2)
}

/// Whether `text` begins with `name` in quotes, but for spaces.
fn starts(text: &str, name: &str) -> bool {
    text.trim_start().strip_prefix(['"', '\'']).is_some_and(|rest| rest.starts_with(name))
}
