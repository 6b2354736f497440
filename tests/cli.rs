//! The command line: exit codes, what goes to stdout and what to stderr.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn catchment(args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_catchment")).args(args).env_remove("RUST_LOG").output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

const SMALL: &str = "yaml:{receivers: {otlp: {protocols: {http: {}}}}, exporters: {debug: {}}, \
                     service: {pipelines: {logs: {receivers: [otlp], exporters: [debug]}}}}";

#[test]
fn validate_says_that_a_configuration_is_fine() {
    let ran = catchment(&["validate", "--config", SMALL]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("1 pipeline, 1 receiver, 0 processors, 1 exporter"), "{}", ran.out);
}

#[test]
fn validate_without_a_configuration_checks_the_built_in_one() {
    let ran = catchment(&["validate"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn validate_lists_every_mistake_with_its_place_and_mend() {
    let ran = catchment(&[
        "validate",
        "--config",
        "yaml:\nreceivers: {otlpp: {}}\nexporters: {debug: {verbosty: basic}}\nservice: {pipelines: {logs: {receivers: [otlp], exporters: [debug]}}}",
    ]);
    assert_eq!((ran.code, ran.out.as_str()), (78, ""));
    for part in
        ["did you mean \"otlp\"?", "did you mean \"verbosity\"?", "which is not configured", ":2:", ":3:", "mistakes"]
    {
        assert!(ran.err.contains(part), "{part} in {}", ran.err);
    }
}

#[test]
fn run_with_a_wrong_configuration_opens_nothing() {
    let ran = catchment(&["--config", "yaml:receivers: 1"]);
    assert_eq!(ran.code, 78, "{}", ran.err);
}

#[test]
fn a_missing_file_is_a_wrong_configuration() {
    let ran = catchment(&["validate", "--config", "/nonexistent.yaml"]);
    assert_eq!(ran.code, 78);
    assert!(ran.err.contains("/nonexistent.yaml"), "{}", ran.err);
}

#[test]
fn a_wrong_command_line_is_2() {
    assert_eq!(catchment(&["frobnicate"]).code, 2);
    assert_eq!(catchment(&["query"]).code, 2);
}

#[test]
fn components_lists_all_roles() {
    let ran = catchment(&["components"]);
    assert_eq!(ran.code, 0);
    for part in ["receivers:", "processors:", "exporters:", "extensions:", "otlp_http", "also otlphttp", "lake"] {
        assert!(ran.out.contains(part), "{part} in {}", ran.out);
    }
    let json: serde_json::Value = serde_json::from_str(&catchment(&["components", "--json"]).out).unwrap();
    assert!(json["exporters"].as_array().unwrap().iter().any(|line| line["name"] == "otlp_http"));
}

#[test]
fn print_config_merges_sets_and_hides_secrets() {
    let secret = "yaml:exporters: {otlp_http: {endpoint: 'http://localhost:1', headers: {authorization: hunter2}}}";
    let use_it = ["--config", SMALL, "--config", secret, "--set", "service.pipelines.logs.exporters=[otlp_http]"];
    let ran = catchment(&[&["print-config"][..], &use_it].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("[REDACTED]") && !ran.out.contains("hunter2"), "{}", ran.out);
    let ran = catchment(&[&["print-config", "--mode", "unredacted"][..], &use_it].concat());
    assert!(ran.out.contains("hunter2"), "{}", ran.out);
}

#[test]
fn a_query_with_nothing_to_ask_fails() {
    let ran = catchment(&["query", "--lake", "/nonexistent", "SELECT 1"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("/nonexistent"), "{}", ran.err);
    let ran = catchment(&["query", "--url", "http://127.0.0.1:9", "SELECT 1"]);
    assert_eq!(ran.code, 1);
}
