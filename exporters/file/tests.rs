#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use catchment_pipeline::component::Admission;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;

use super::*;

fn read_one(yaml: &str) -> (Plan, Vec<String>) {
    let mut section = Section::parse(yaml);
    let plan = read(&mut section);
    let mistakes = section.mistakes();
    (plan, mistakes)
}

async fn exporter(yaml: &str) -> Arc<dyn Exporter> {
    let (plan, mistakes) = read_one(yaml);
    assert_eq!(mistakes, Vec::<String>::new());
    let admission = Arc::new(Admission::new(1 << 20));
    let context = Context { id: "file".into(), admission, ..Context::default() };
    plan.build(context).await.unwrap()
}

fn batch(url: &str) -> Batch {
    let text = format!(r#"{{"resourceLogs":[{{"schemaUrl":"{url}"}}]}}"#);
    let bytes = json::parse(Signal::Logs, text.as_bytes()).unwrap();
    Batch::from_otlp(Signal::Logs, bytes.into()).unwrap()
}

fn line(url: &str) -> String {
    format!("{{\"resourceLogs\":[{{\"schemaUrl\":\"{url}\"}}]}}\n")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn lines_and_the_cursor_that_follows_the_fsync() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/out.json");
    let exporter = exporter(&format!("{{ path: '{}', flush_interval: 10ms }}", path.display())).await;
    let mut durable = exporter.durable().unwrap();
    assert_eq!(*durable.borrow(), 0);
    exporter.export(&batch("a"), 5).await.unwrap();
    exporter.export(&batch("b"), 6).await.unwrap();
    let synced = durable.wait_for(|position| *position == 6);
    tokio::time::timeout(Duration::from_secs(10), synced).await.unwrap().unwrap();
    assert_eq!(text(&path), line("a") + &line("b"));
}

#[tokio::test]
async fn shutdown_makes_everything_durable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.json");
    let exporter = exporter(&format!("{{ path: '{}', flush_interval: 1h }}", path.display())).await;
    exporter.export(&batch("a"), 9).await.unwrap();
    let durable = exporter.durable().unwrap();
    assert_eq!(*durable.borrow(), 0);
    exporter.shutdown().await.unwrap();
    assert_eq!(*durable.borrow(), 9);
}

#[tokio::test]
async fn append_or_begin_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.json");
    std::fs::write(&path, "old, cut sho").unwrap();
    let yaml = format!("path: '{}'", path.display());
    exporter(&format!("{{ {yaml}, append: true }}")).await.export(&batch("a"), 1).await.unwrap();
    assert_eq!(text(&path), "old, cut sho\n".to_owned() + &line("a"));
    exporter(&yaml).await.export(&batch("b"), 1).await.unwrap();
    assert_eq!(text(&path), line("b"));
}

#[tokio::test]
async fn records_behind_their_length() {
    for (format, compression) in [("proto", "''"), ("proto", "zstd"), ("json", "zstd")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let yaml = format!("{{ path: '{}', format: {format}, compression: {compression} }}", path.display());
        let exporter = exporter(&yaml).await;
        exporter.export(&batch("a"), 1).await.unwrap();
        exporter.export(&batch("b"), 2).await.unwrap();
        let written = std::fs::read(&path).unwrap();
        let mut rest = &written[..];
        for url in ["a", "b"] {
            let (length, after) = rest.split_at(4);
            let (record, after) = after.split_at(u32::from_be_bytes(length.try_into().unwrap()) as usize);
            rest = after;
            let record = if compression == "zstd" { zstd::decode_all(record).unwrap() } else { record.to_vec() };
            if format == "json" {
                assert_eq!(String::from_utf8(record).unwrap() + "\n", line(url));
            } else {
                let request = ExportLogsServiceRequest::decode(&record[..]).unwrap();
                assert_eq!(request.resource_logs[0].schema_url, url);
            }
        }
        assert!(rest.is_empty());
    }
}

#[test]
fn rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.json");
    let rotation = Rotation { max_bytes: 10, max_age: Duration::from_secs(60), max_backups: 2, local: false };
    let mut output = Output::open(path.clone(), Some(rotation), false, true).unwrap();
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_136_214_245_678);
    let mut write =
        |record: &str, seconds| output.write(record.as_bytes(), start + Duration::from_secs(seconds)).unwrap();
    let names = || {
        let names =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names = names.collect::<Vec<_>>();
        names.sort();
        names
    };
    std::fs::write(folder.path().join("out-other.json"), "not ours").unwrap();
    write("1234\n", 0);
    write("1234\n", 0);
    write("more than ten, whole all the same\n", 0);
    // As lumberjack names its backups.
    assert_eq!(names(), ["out-2006-01-02T15-04-05.678.json", "out-other.json", "out.json"]);
    assert_eq!(text(&folder.path().join("out-2006-01-02T15-04-05.678.json")), "1234\n1234\n");
    write("x\n", 0);
    assert_eq!(names().len(), 4, "two in one millisecond have two names");
    write("123456789\n", 1);
    assert_eq!(
        names(),
        ["out-2006-01-02T15-04-05.679.json", "out-2006-01-02T15-04-06.678.json", "out-other.json", "out.json"],
        "the oldest beyond max_backups goes"
    );
    write("123456789\n", 100);
    assert_eq!(names(), ["out-2006-01-02T15-05-45.678.json", "out-other.json", "out.json"], "those past max_days go");
}

#[test]
fn plan() {
    let (plan, mistakes) = read_one("{ path: out.json, rotation: }");
    assert_eq!(mistakes, Vec::<String>::new());
    let rotation = Rotation { max_bytes: 100 << 20, max_age: Duration::ZERO, max_backups: 100, local: false };
    assert_eq!((plan.rotation, plan.flush_interval, plan.append), (Some(rotation), Duration::from_secs(1), false));
    assert_eq!(plan.format, Format { json: true, zstd: false });
    for (yaml, expect) in [
        ("{}", "path"),
        ("{ path: a, format: xml }", "xml"),
        ("{ path: a, compression: gzip }", "gzip"),
        ("{ path: a, flush_interval: 0s }", "more than zero"),
        ("{ path: a, rotation: { max_megabyte: 1 } }", "max_megabyte"),
        ("{ path: a, group_by: { enabled: true } }", "everything goes to one file"),
    ] {
        let (_, mistakes) = read_one(yaml);
        assert!(mistakes.len() == 1 && mistakes[0].contains(expect), "{yaml}: {mistakes:?}");
    }
}
