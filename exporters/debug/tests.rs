#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use catchment_pipeline::otlp::json;

use super::*;

/// zap's sampling: the first `initial` of a second, then every `thereafter`-th.
#[test]
fn sampling() {
    let check = |initial, thereafter, expect: &str| {
        let mut sampler = Sampler { initial, thereafter, since: None, seen: 0 };
        let start = Instant::now();
        let mut taken =
            |at: Duration| (0..8).map(|_| if sampler.take(start + at) { '#' } else { '.' }).collect::<String>();
        assert_eq!(taken(Duration::ZERO), expect);
        assert_eq!(taken(Duration::from_millis(1000)), expect, "a new second");
    };
    check(2, 1, "########");
    check(2, 3, "##..#..#");
    check(2, 0, "##......");
    check(0, 4, "...#...#");
}

#[test]
fn normal_is_a_line_an_item() {
    let check = |signal, text: &str, expect: &str| {
        let bytes = json::parse(signal, text.as_bytes()).unwrap();
        assert_eq!(text::normal(signal, &bytes), expect);
    };
    let resource = r#""resource":{"attributes":[{"key":"host.name","value":{"stringValue":"h"}}]}"#;
    check(
        Signal::Metrics,
        &format!(
            r#"{{"resourceMetrics":[{{{resource},"scopeMetrics":[{{"metrics":[
            {{"name":"cpu","gauge":{{"dataPoints":[{{"asDouble":1,"attributes":[{{"key":"n","value":{{"intValue":"3"}}}}]}}]}}}},
            {{"name":"h","histogram":{{"dataPoints":[{{"count":3,"sum":4,"bucketCounts":[1,2],"explicitBounds":[5]}}]}}}}]}}]}}]}}"#
        ),
        "resource host.name=h\n  cpu n=3 1.0\n  h count=3 sum=Some(4.0) le5=1 leInf=2\n",
    );
    check(
        Signal::Logs,
        &format!(
            r#"{{"resourceLogs":[{{{resource},"scopeLogs":[{{"logRecords":[{{"severityText":"Info","body":{{"arrayValue":{{"values":[{{"boolValue":true}},{{"stringValue":"x\n\u001b[2J"}}]}}}}}}]}}]}}]}}"#
        ),
        "resource host.name=h\n  Info [true, x\\n\\u{1b}[2J]\n",
    );
    check(
        Signal::Traces,
        &format!(
            r#"{{"resourceSpans":[{{{resource},"scopeSpans":[{{"spans":[{{"name":"GET","traceId":"0102","spanId":"ff","startTimeUnixNano":"0","endTimeUnixNano":"1500000"}}]}}]}}]}}"#
        ),
        "resource host.name=h\n  GET 0102 ff 1.5ms\n",
    );
}

#[test]
fn detailed_shows_everything() {
    let bytes = json::parse(Signal::Logs, br#"{"resourceLogs":[{"schemaUrl":"u"}]}"#).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&text::detailed(Signal::Logs, &bytes)).unwrap();
    assert_eq!(shown, serde_json::json!({"resourceLogs": [{"schemaUrl": "u"}]}));
}
