//! CPU time of one scrape, ours and the real Collector's (when `cargo xtask peers collector` has built it), on this
//! machine, one after the other: `cargo bench -p catchment-receivers --bench host_metrics`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
}

#[cfg(target_os = "linux")]
#[path = "../../tests/common/peers.rs"]
mod peers;

#[cfg(target_os = "linux")]
mod linux {
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use catchment_pipeline::batch::Batch;
    use catchment_pipeline::component::{Accept, Accepted, Admission, Context, Outlet, Refused};
    use catchment_pipeline::config::Section;
    use procfs::process::Process;
    use tokio_util::sync::CancellationToken;

    /// Of each measurement; with a scrape every 50 ms.
    const FOR: Duration = Duration::from_secs(10);
    const SCRAPERS: [(&str, &str); 2] = [
        ("all but process", "cpu: , load: , memory: , disk: , filesystem: , network: , paging: , processes: , system:"),
        ("process", "process: { mute_process_all_errors: true }"),
    ];

    pub fn main() {
        for (name, scrapers) in SCRAPERS {
            let receiver = format!("{{ collection_interval: 50ms, initial_delay: 0s, scrapers: {{ {scrapers} }} }}");
            report(name, "catchment", ours(&receiver));
            if let Some(program) = super::peers::collector() {
                report(name, "collector", theirs(&program, &receiver));
            }
        }
    }

    fn report(name: &str, who: &str, (scrapes, seconds): (u64, f64)) {
        println!("{name}: {who}: {:.2} ms CPU a scrape ({scrapes} scrapes)", seconds * 1e3 / scrapes.max(1) as f64);
    }

    /// CPU seconds a process has used.
    fn cpu(pid: u32) -> f64 {
        let stat = Process::new(pid as i32).unwrap().stat().unwrap();
        (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64
    }

    struct Counter(AtomicU64);

    #[async_trait::async_trait]
    impl Accept for Counter {
        async fn accept(&self, _: Batch) -> Result<Accepted, Refused> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Accepted::default())
        }
    }

    fn ours(receiver: &str) -> (u64, f64) {
        let spec = catchment_receivers::SPECS.iter().find(|spec| spec.kind == "host_metrics").unwrap();
        let plan = (spec.plan)(&mut Section::parse(receiver));
        let context =
            Context { id: "host_metrics".into(), admission: Arc::new(Admission::new(1 << 30)), ..Context::default() };
        let counter = Arc::new(Counter(AtomicU64::new(0)));
        let before = cpu(std::process::id());
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let shutdown = CancellationToken::new();
            let receiver = plan.build(context).await.unwrap();
            let run = tokio::spawn(receiver.run(Outlet::new(counter.clone()), shutdown.clone()));
            tokio::time::sleep(FOR).await;
            shutdown.cancel();
            run.await.unwrap().unwrap();
        });
        (counter.0.load(Ordering::Relaxed), cpu(std::process::id()) - before)
    }

    /// Into the debug exporter, which writes a line a batch.
    fn theirs(program: &Path, receiver: &str) -> (u64, f64) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let config = format!(
            "yaml:{{ receivers: {{ hostmetrics: {receiver} }}, exporters: {{ debug: {{ verbosity: basic, sampling_initial: 1000000 }} }}, \
             service: {{ telemetry: {{ metrics: {{ level: none }}, logs: {{ sampling: {{ enabled: false }} }} }}, pipelines: {{ metrics: {{ receivers: [hostmetrics], exporters: [debug] }} }} }} }}"
        );
        let mut child = Command::new(program)
            .args(["--config", &config])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        // Its start is not part of a scrape.
        std::thread::sleep(Duration::from_secs(1));
        let lines = || {
            std::fs::read_to_string(&log).unwrap().lines().filter(|line| line.contains("data points")).count() as u64
        };
        let (before, start) = (lines(), cpu(child.id()));
        std::thread::sleep(FOR);
        let measured = (lines() - before, cpu(child.id()) - start);
        child.kill().unwrap();
        child.wait().unwrap();
        measured
    }
}
