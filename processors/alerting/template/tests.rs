#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use catchment_pipeline::alerts::Labels;
use proptest::prelude::*;

use super::*;

fn expand(text: &str, value: f64) -> String {
    let labels = Labels::new([("instance", "web-1.example.org:9100"), ("job", "node"), ("host.name", "web-1")]);
    let external = Labels::new([("cluster", "eu")]);
    let facts = Facts {
        labels: &labels,
        value: Some(value),
        at: 1_500_000_000_000_000_000,
        external_labels: &external,
        external_url: "http://alerts.example.org/x",
    };
    Text::parse(text).map_or_else(|error| format!("! {error}"), |text| text.expand(&facts))
}

#[track_caller]
fn check(text: &str, value: f64, expect: &str) {
    assert_eq!(expand(text, value), expect, "{text}");
}

/// Texts from Prometheus' documentation and from rule files that people share.
#[test]
fn texts_that_people_have() {
    check("plain, with $value and 5%", 0.0, "plain, with $value and 5%");
    check("Instance {{ $labels.instance }} down", 0.0, "Instance web-1.example.org:9100 down");
    check(
        "{{ $labels.instance }} of job {{.Labels.job}} is {{ .Value }}",
        0.5,
        "web-1.example.org:9100 of job node is 0.5",
    );
    check(r#"{{ printf "%.2f" $value }}%"#, 93.456, "93.46%");
    check(r#"{{ $value | printf "%.0f" }}"#, 12.7, "13");
    check("{{ $value | humanizePercentage }} used", 0.1234, "12.34% used");
    check("{{- if gt $value 90.0 }}critical{{ else if gt $value 80.0 }}high{{ else }}fine{{ end -}}  ", 85.0, "high");
    check(
        r#"{{ if eq .Labels.job "node" }}N{{ end }}{{ if and (ne $labels.job "x") (lt $value 3.0) }}M{{ end }}"#,
        1.0,
        "NM",
    );
    check(
        r#"{{ range $name, $v := $labels }}{{ $name }}={{ $v }};{{ end }}"#,
        0.0,
        "host.name=web-1;instance=web-1.example.org:9100;job=node;",
    );
    check(r#"{{ with $labels.nothing }}x{{ else }}none{{ end }}{{ $labels.nothing }}"#, 0.0, "none");
    check(r#"{{ $x := "a" }}{{ if true }}{{ $x = "b" }}{{ end }}{{ $x }}"#, 0.0, "b");
    check(
        "{{ $externalLabels.cluster }} {{ $externalURL }} {{ pathPrefix }}",
        0.0,
        "eu http://alerts.example.org/x /x",
    );
    check("{{/* nothing */}}a {{- /* trims */ -}} b", 0.0, "ab");
    check("{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}", 0.0, "web-1.example.org web-1:9100");
    check(
        r#"{{ reReplaceAll "(.*):\\d+" "$1" $labels.instance }} {{ match "^web" $labels.instance }}"#,
        0.0,
        "web-1.example.org true",
    );
    check(r#"{{ "some words" | title }} {{ toUpper "x" }}{{ "Y" | toLower }}"#, 0.0, "Some Words Xy");
    check(r#"{{ index $labels "host.name" }} {{ $labels.host.name }}"#, 0.0, "web-1 web-1");
    check("{{ len $labels }} {{ not true }} {{ or false $labels.job }}", 0.0, "3 false node");
    check("{{ $labels }}", 0.0, "map[host.name:web-1 instance:web-1.example.org:9100 job:node]");
    check("{{ range args 1 2 3 }}{{ if eq . 2 }}{{ continue }}{{ end }}{{ . }}{{ end }}", 0.0, "13");
    check("{{ urlQueryEscape \"a b/ü\" }} {{ \"<b>\" | html }}", 0.0, "a+b%2F%C3%BC &lt;b&gt;");
    check("{{ parseDuration \"1h30m\" }}", 0.0, "5400");
}

/// The examples of Prometheus' own documentation and of its tests.
#[test]
fn numbers_as_prometheus_writes_them() {
    for (value, expect) in [
        (0.0, "0"),
        (1.0, "1"),
        (1_234_567.0, "1.235M"),
        (0.12, "120m"),
        (-1.0, "-1"),
        (1e30, "1e+06Y"),
        (f64::INFINITY, "+Inf"),
        (999.99, "1000"),
        (0.000_012_3, "12.3u"),
    ] {
        check("{{ humanize $value }}", value, expect);
    }
    for (value, expect) in [(0.0, "0"), (1.0, "1"), (1_048_576.0, "1Mi"), (0.12, "0.12"), (1536.0, "1.5ki")] {
        check("{{ humanize1024 $value }}", value, expect);
    }
    for (value, expect) in [
        (0.0, "0s"),
        (1.0, "1s"),
        (60.0, "1m 0s"),
        (3600.0, "1h 0m 0s"),
        (86_400.0, "1d 0h 0m 0s"),
        (86_401.0 + 3660.0, "1d 1h 1m 1s"),
        (-86_400.0, "-1d 0h 0m 0s"),
        (899.99, "14m 59s"),
        (0.1, "100ms"),
        (0.0001, "100us"),
        (1.2345, "1.234s"),
        (59.9999, "60s"),
    ] {
        check("{{ humanizeDuration $value }}", value, expect);
    }
    check("{{ humanizeTimestamp $value }}", 1_435_065_584.128, "2015-06-23 13:19:44.128 +0000 UTC");
    check("{{ toDuration 3661.5 }}", 0.0, "1h1m1.5s");
    for (value, expect) in [
        (1e6, "1e+06"),
        (1e21, "1e+21"),
        (123_456_789.0, "1.23456789e+08"),
        (0.00001, "1e-05"),
        (f64::NAN, "NaN"),
        (100.0, "100"),
    ] {
        check("{{ $value }}", value, expect);
    }
    check(
        r#"{{ printf "%5.1f|%-6s|%06.2f|%+d|%x|%q|%v|%t|%%" 1.25 "ab" 3.14159 5 255 "q" 1.5 true }}"#,
        0.0,
        r#"  1.2|ab    |003.14|+5|ff|"q"|1.5|true|%"#,
    );
    check(r#"{{ printf "%d" $value }}"#, 1.5, "%!d(float64=1.5)");
    check(r#"{{ printf "%s" }}"#, 1.5, "%!s(MISSING)");
}

#[test]
fn wrong_texts_say_why() {
    for (text, part) in [
        ("{{ $labels.x", "unclosed action"),
        ("{{ if true }}x", "{{end}} is missing"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ nosuch 1 }}", "function \"nosuch\" not defined"),
        ("{{ $nosuch }}", "undefined variable"),
        ("{{ query \"up\" | first | value }}", "asks nothing"),
        ("{{ safeHtml \"<b>\" }}", "never taken as HTML"),
        ("{{ template \"x\" }}", "not supported"),
        ("{{ }}", "missing value"),
        ("{{ (1 }}", "unclosed left parenthesis"),
    ] {
        let error = Text::parse(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    check("{{ humanize \"x\" }}", 0.0, "<error expanding template: strconv.ParseFloat: parsing \"x\": invalid syntax>");
    check(
        "{{ .Nope }}",
        0.0,
        "<error expanding template: can't evaluate field Nope: there are Labels, Value, ExternalLabels and ExternalURL>",
    );
    let endless = "{{ range 1000 }}{{ range 1000 }}x{{ end }}{{ end }}";
    assert!(expand(endless, 0.0).starts_with("<error expanding template: it"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_or_grows(parts in proptest::collection::vec(
        prop_oneof![
            ".{0,6}", Just("{{".to_owned()), Just("}}".to_owned()), Just("{{ if $value }}".to_owned()), Just("{{ end }}".to_owned()),
            Just("{{ range $k, $v := $labels }}".to_owned()), Just("{{ else }}".to_owned()), Just("{{ range 99999 }}".to_owned()),
            Just("{{ printf \"%999999d|%.99999f|%[1]d\" 1 2.5 }}".to_owned()), Just("{{ $value | humanize | printf \"%s%s\" }}".to_owned()),
            Just("{{ reReplaceAll \"\" \"$0$0\" $labels.instance }}".to_owned()), Just("{{ slice $labels.job 1 3 }}".to_owned()),
            Just("{{ index $labels \"a\" 1 }}".to_owned()), Just("(".to_owned()), Just("'".to_owned()), Just("\\x".to_owned()), Just("0x".to_owned()),
        ], 0..20), value in proptest::num::f64::ANY) {
        let text = expand(&parts.concat(), value);
        prop_assert!(text.len() <= OUTPUT.max(parts.concat().len()) + 1000);
    }

    #[test]
    fn numbers_read_back(value in proptest::num::f64::NORMAL) {
        prop_assert_eq!(expand("{{ $value }}", value).parse::<f64>().unwrap(), value);
    }
}
