//! Every file directly in `configs/` is a configuration that this binary takes, without a remark.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

#[test]
fn every_config_validates() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // `dashboards` are boards: tests/boards runs them.
        if path.is_dir() {
            continue;
        }
        assert_eq!(path.extension().and_then(|extension| extension.to_str()), Some("yaml"), "{}", path.display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_catchment"));
        let output = command.arg("validate").arg("--config").arg(&path).output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaints.is_empty(), "{}: {complaints}", path.display());
        seen += 1;
    }
    assert!(seen >= 3);
}
