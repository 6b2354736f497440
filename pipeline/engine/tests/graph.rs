//! Wiring, refusals, reload.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::stand_ins::*;
use crate::batch::{Batch, Signal, TimeLimits};
use crate::component::{Refused, Stage};
use crate::engine::Engine;

const S: Duration = Duration::from_secs(1);

fn simple(bench: &Bench, exporter: &Arc<Scripted>, receiver: u64, fingerprint: u64, broken: bool) -> Wiring {
    let wiring = Wiring::default().exporter("out", fingerprint, exporter).pipeline("logs", &["in"], &[], &["out"]);
    bench.receiver(wiring, "in", receiver, broken)
}

#[tokio::test(start_paused = true)]
async fn what_pipelines_leave_alone_is_logged_once() {
    let (mut bench, one, two) = (Bench::new(1 << 20), Scripted::new(), Scripted::new());
    let wiring = Wiring::default().exporter("one", 1, &one).exporter("two", 1, &two);
    let wiring = wiring.processor("guard", || Stage::Transform(Box::new(Guard(Arc::default()))));
    let wiring =
        wiring.pipeline("logs/1", &["in"], &["guard"], &["one"]).pipeline("logs/2", &["in"], &[], &["one", "two"]);
    let (_engine, outlet) = bench.start(wiring).await;
    outlet.send(logs("a", 3)).await.unwrap();
    one.took(3).await;
    two.took(3).await;
    assert_eq!((bench.log.head(), one.items()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_reaches_the_receiver_and_nothing_is_logged() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let refuse = Arc::new(AtomicBool::new(true));
    let own = refuse.clone();
    let wiring = Wiring::default().exporter("out", 1, &exporter);
    let wiring = wiring.processor("guard", move || Stage::Transform(Box::new(Guard(own.clone()))));
    let (engine, outlet) = bench.start(wiring.pipeline("logs", &["in"], &["guard"], &["out"])).await;
    let refused = outlet.send(logs("a", 3)).await.unwrap_err();
    assert!(matches!(refused, Refused::Busy { retry_after, .. } if retry_after == S * 7), "{refused}");
    assert_eq!(bench.log.head(), 0);
    refuse.store(false, Ordering::SeqCst);
    outlet.send(logs("a", 3)).await.unwrap();
    let snapshot = engine.status().snapshot();
    let (receiver, processor) = (&snapshot.receivers[0], &snapshot.processors[0]);
    assert_eq!((receiver.accepted_items, receiver.refused_items), (3, 3));
    assert_eq!((processor.incoming_items, processor.outgoing_items, processor.refused_items), (6, 3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_signal_without_a_pipeline_is_refused_for_good() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let wiring = Wiring::default().exporter("out", 1, &exporter).pipeline("logs", &["in"], &[], &["out"]);
    let (_engine, outlet) = bench.start(wiring).await;
    let span = opentelemetry_proto::tonic::trace::v1::Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        ..Default::default()
    };
    let refused = outlet.send(spans(vec![span])).await.unwrap_err();
    assert_eq!(refused.to_string(), "no pipeline carries traces from receiver `in`");
}

/// trace.proto: both ids are required, and one that is all zero is invalid.
#[tokio::test(start_paused = true)]
async fn invalid_items_are_taken_out_and_the_sender_is_told() {
    use opentelemetry_proto::tonic::trace::v1::Span;
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let mut wiring = Wiring::default().exporter("out", 1, &exporter).pipeline("traces", &["in"], &[], &["out"]);
    wiring.plan.pipelines[0].signal = Signal::Traces;
    let (engine, outlet) = bench.start(wiring).await;
    let span = |trace: u8, span: u8| Span { trace_id: vec![trace; 16], span_id: vec![span; 8], ..Span::default() };
    let (whole, none) = (span(1, 2), Span { span_id: Vec::new(), ..span(1, 2) });
    let accepted = outlet.send(spans(vec![span(0, 2), whole.clone(), none.clone(), whole])).await.unwrap();
    assert_eq!((accepted.rejected, accepted.reason.contains("trace_id of 16 bytes")), (2, true), "{accepted:?}");
    exporter.took(2).await;
    assert_eq!(
        outlet.send(spans(vec![none.clone()])).await.unwrap_err().to_string(),
        format!("1{}", &accepted.reason[1..])
    );
    let receiver = &engine.status().snapshot().receivers[0];
    assert_eq!((receiver.accepted_items, receiver.refused_items, bench.log.head()), (2, 3, 1));
}

const DAY: Duration = Duration::from_secs(86_400);

fn limited(late: Option<Duration>) -> Arc<Scripted> {
    let accepts = tokio::sync::watch::Sender::new(TimeLimits { late, future: Some(DAY) });
    Arc::new(Scripted { accepts: Some(accepts), ..Scripted::plain() })
}

#[tokio::test(start_paused = true)]
async fn times_an_exporter_does_not_take_are_refused_before_they_are_logged() {
    let (mut bench, exporter) = (Bench::new(1 << 20), limited(Some(2 * DAY)));
    let wiring = Wiring::default().exporter("out", 1, &exporter).pipeline("logs", &["in"], &[], &["out"]);
    let (engine, outlet) = bench.start(wiring).await;
    let now = SystemTime::now();
    let sent = logs_at(&[(now - 3 * DAY, "old"), (now, "new"), (now + 2 * DAY, "far"), (now - DAY, "late")]);
    let accepted = outlet.send(sent).await.unwrap();
    assert_eq!(accepted.rejected, 2);
    let reason = "2 of a time that is not taken: 1 older than 2d, 1 more than 1d ahead of now; the first is at 2";
    assert!(accepted.reason.starts_with(reason), "{}", accepted.reason);
    exporter.took(2).await;
    assert_eq!(exporter.names(), ["new", "late"]);
    // Nothing of it is left: no success to be partial.
    let refused = outlet.send(logs_at(&[(now - 3 * DAY, "old")])).await.unwrap_err();
    assert!(matches!(&refused, Refused::Rejected { reason } if reason.contains("older than 2d")), "{refused}");
    let receiver = &engine.status().snapshot().receivers[0];
    assert_eq!((receiver.accepted_items, receiver.refused_items, bench.log.head()), (2, 3, 1));
    assert_eq!((receiver.refused_by_reason.too_old, receiver.refused_by_reason.too_far_in_future), (2, 1));
    // As a reload does.
    exporter.accepts.as_ref().unwrap().send_replace(TimeLimits::default());
    assert_eq!(outlet.send(logs_at(&[(now - 3 * DAY, "old")])).await.unwrap().rejected, 0);
}

/// logs.proto: one that has neither time was observed by whoever collects it. metrics.proto, trace.proto: required.
#[tokio::test(start_paused = true)]
async fn a_log_record_without_a_time_is_given_one_and_a_span_is_refused() {
    use opentelemetry_proto::tonic::trace::v1::Span;
    let (mut bench, exporter) = (Bench::new(1 << 20), limited(None));
    let mut wiring = Wiring::default().exporter("out", 1, &exporter);
    wiring = wiring.pipeline("logs", &["in"], &[], &["out"]).pipeline("traces", &["in"], &[], &["out"]);
    wiring.plan.pipelines[1].signal = Signal::Traces;
    let (engine, outlet) = bench.start(wiring).await;
    let span = Span { trace_id: vec![1; 16], span_id: vec![1; 8], ..Span::default() };
    let started = Span { start_time_unix_nano: 1, ..span.clone() };
    let accepted = outlet.send(spans(vec![span, started])).await.unwrap();
    assert_eq!(
        (accepted.rejected, accepted.reason.as_str()),
        (1, "1 of a time that is not taken: 1 without a time; the first is without a time")
    );
    assert_eq!(engine.status().snapshot().receivers[0].refused_by_reason.no_time, 1);
    let mut cursor = bench
        .log
        .cursor("test", crate::log::Pipelines::new(["logs"]), crate::component::OnFull::Block, crate::log::Start::Head)
        .await
        .unwrap();
    let before = SystemTime::now();
    assert_eq!(outlet.send(logs("timeless", 1)).await.unwrap().rejected, 0);
    let times = cursor.next(1, 1).await[0].batch.times();
    let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(times.earliest);
    assert!((before..=SystemTime::now()).contains(&at));
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_without_limits_is_not_held_to_those_of_another() {
    let (mut bench, strict, any, lax) =
        (Bench::new(1 << 20), limited(Some(2 * DAY)), Scripted::new(), limited(Some(9 * DAY)));
    let wiring = Wiring::default().exporter("strict", 1, &strict).exporter("any", 1, &any).exporter("lax", 1, &lax);
    let wiring = wiring.pipeline("logs/strict", &["in"], &[], &["strict"]);
    let wiring = wiring.pipeline("logs/any", &["in"], &[], &["any"]).pipeline("logs/lax", &["in"], &[], &["lax"]);
    let (_engine, outlet) = bench.start(wiring).await;
    let now = SystemTime::now();
    assert_eq!(
        outlet
            .send(logs_at(&[(now - 30 * DAY, "oldest"), (now - 3 * DAY, "old"), (now, "new")]))
            .await
            .unwrap()
            .rejected,
        2
    );
    any.took(3).await;
    lax.took(2).await;
    strict.took(1).await;
    assert_eq!(outlet.send(logs_at(&[(now - 30 * DAY, "oldest")])).await.unwrap().rejected, 1, "one has it");
    assert_eq!(outlet.send(logs_at(&[(now, "new")])).await.unwrap().rejected, 0);
    any.took(5).await;
    strict.took(2).await;
    assert_eq!(bench.log.head(), 5, "what all take is logged once");
}

fn spans(spans: Vec<opentelemetry_proto::tonic::trace::v1::Span>) -> Batch {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
    use prost::Message;
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let bytes = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    Batch::from_otlp(Signal::Traces, bytes.into()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_reload_leaves_alone_what_did_not_change() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let mut engine = Engine::start(simple(&bench, &exporter, 1, 1, false).plan, bench.runtime()).await.unwrap();
    let outlet = bench.outlet().await;
    let changes = engine.reload(simple(&bench, &exporter, 1, 1, false).plan).await.unwrap();
    assert_eq!(changes.to_string(), "nothing to restart");
    outlet.send(logs("a", 1)).await.unwrap();
    exporter.took(1).await;
    assert_eq!(exporter.builds.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reload_restarts_a_changed_exporter_and_loses_nothing() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let mut engine = Engine::start(simple(&bench, &exporter, 1, 1, false).plan, bench.runtime()).await.unwrap();
    let outlet = bench.outlet().await;
    *exporter.then.lock().unwrap() = transient();
    for name in ["a", "b", "c"] {
        outlet.send(logs(name, 1)).await.unwrap();
    }
    exporter.attempted(1).await;
    let changes = engine.reload(simple(&bench, &exporter, 1, 2, false).plan).await.unwrap();
    assert_eq!(changes.to_string(), "restarted out");
    *exporter.then.lock().unwrap() = Ok(());
    exporter.took(3).await;
    assert_eq!(exporter.names(), ["a", "b", "c"]);
    assert_eq!(engine.status().snapshot().exporters[0].exported_items, 3);
}

#[tokio::test(start_paused = true)]
async fn a_reload_hands_the_port_over() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let mut engine = Engine::start(simple(&bench, &exporter, 1, 1, false).plan, bench.runtime()).await.unwrap();
    bench.outlet().await.send(logs("a", 1)).await.unwrap();
    let changes = engine.reload(simple(&bench, &exporter, 2, 1, false).plan).await.unwrap();
    assert_eq!(changes.to_string(), "restarted in");
    bench.outlet().await.send(logs("b", 1)).await.unwrap();
    exporter.took(2).await;
    assert_eq!(engine.status().snapshot().receivers[0].accepted_items, 2, "its figures go on");
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_cannot_be_built_puts_the_old_graph_back() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let mut engine = Engine::start(simple(&bench, &exporter, 1, 1, false).plan, bench.runtime()).await.unwrap();
    bench.outlet().await.send(logs("a", 1)).await.unwrap();
    let error = engine.reload(simple(&bench, &exporter, 2, 2, true).plan).await.unwrap_err();
    assert_eq!(format!("{error:#}"), "cannot start receiver `in`: it cannot be built");
    bench.outlet().await.send(logs("b", 1)).await.unwrap();
    exporter.took(2).await;
    let reload = engine.status().snapshot().reload.unwrap();
    assert!(!reload.applied && reload.message.contains("cannot be built"));
}

/// What was acknowledged for an exporter is delivered by it, whatever the pipeline it came by is called now.
#[tokio::test(start_paused = true)]
async fn a_reload_that_renames_a_pipeline_loses_nothing() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let mut engine = Engine::start(simple(&bench, &exporter, 1, 1, false).plan, bench.runtime()).await.unwrap();
    let outlet = bench.outlet().await;
    *exporter.then.lock().unwrap() = transient();
    for name in ["a", "b", "c"] {
        outlet.send(logs(name, 1)).await.unwrap();
    }
    exporter.attempted(1).await;
    let renamed = Wiring::default().exporter("out", 1, &exporter).pipeline("logs/2", &["in"], &[], &["out"]);
    engine.reload(bench.receiver(renamed, "in", 1, false).plan).await.unwrap();
    outlet.send(logs("d", 1)).await.unwrap();
    *exporter.then.lock().unwrap() = Ok(());
    exporter.took(4).await;
    assert_eq!(exporter.names(), ["a", "b", "c", "d"]);
    assert!(engine.shutdown(S * 30).await.exporters.is_empty());
}

/// Else the log would keep everything for a cursor that nobody opens again, until it is full.
#[tokio::test(start_paused = true)]
async fn a_reload_that_fails_leaves_no_cursor_behind() {
    let (mut bench, exporter, new) = (Bench::new(1 << 20), Scripted::new(), Scripted::new());
    let mut engine = Engine::start(simple(&bench, &exporter, 1, 1, false).plan, bench.runtime()).await.unwrap();
    bench.outlet().await;
    let wiring = Wiring::default().exporter("new", 1, &new).exporter("out", 1, &exporter);
    let wiring = wiring.pipeline("logs", &["in"], &[], &["new", "out"]);
    engine.reload(bench.receiver(wiring, "in", 2, true).plan).await.unwrap_err();
    let names: Vec<_> = bench.log.backlogs().into_iter().map(|backlog| backlog.cursor.to_string()).collect();
    assert_eq!(names, ["out"]);
}

/// The next start may work, and its exporters have data in the log.
#[tokio::test(start_paused = true)]
async fn a_start_that_fails_keeps_what_is_in_the_log() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    *exporter.then.lock().unwrap() = transient();
    let engine = Engine::start(simple(&bench, &exporter, 1, 1, false).plan, bench.runtime()).await.unwrap();
    let outlet = bench.outlet().await;
    outlet.send(logs("a", 1)).await.unwrap();
    exporter.attempted(1).await;
    drop(engine);
    bench.closed("out").await;
    assert!(Engine::start(simple(&bench, &exporter, 1, 1, true).plan, bench.runtime()).await.is_err());
    bench.closed("out").await;
    *exporter.then.lock().unwrap() = Ok(());
    let _engine = Engine::start(simple(&bench, &exporter, 1, 1, false).plan, bench.runtime()).await.unwrap();
    exporter.took(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_adds_and_removes_pipelines() {
    let (mut bench, one, two) = (Bench::new(1 << 20), Scripted::new(), Scripted::new());
    let mut engine = Engine::start(simple(&bench, &one, 1, 1, false).plan, bench.runtime()).await.unwrap();
    let outlet = bench.outlet().await;
    outlet.send(logs("a", 1)).await.unwrap();
    let wiring = Wiring::default().exporter("two", 1, &two).pipeline("logs/2", &["in"], &[], &["two"]);
    let changes = engine.reload(bench.receiver(wiring, "in", 1, false).plan).await.unwrap();
    assert_eq!(changes.to_string(), "started two; stopped out");
    outlet.send(logs("b", 1)).await.unwrap();
    two.took(1).await;
    assert_eq!((one.names(), two.names()), (vec!["a".to_owned()], vec!["b".to_owned()]));
    assert!(one.shut_down.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_built_stops_the_start() {
    let (bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let started = Engine::start(simple(&bench, &exporter, 1, 1, true).plan, bench.runtime()).await;
    assert!(started.is_err_and(|error| error.to_string().contains("receiver `in`")));
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_the_answers_under_way() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let engine = Engine::start(simple(&bench, &exporter, 1, 1, false).plan, bench.runtime()).await.unwrap();
    let outlet = bench.outlet().await;
    let sends: Vec<_> = (0..20).map(|n| outlet.send(logs(&n.to_string(), 1))).collect();
    let sent = futures::future::join_all(sends).await;
    assert!(sent.iter().all(Result::is_ok));
    engine.shutdown(S * 30).await;
    assert_eq!(exporter.items(), 20);
}
