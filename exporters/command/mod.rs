//! `command`: runs a program for each notification, to mend what can be mended by itself.
//!
//! ```yaml
//! exporters:
//!   command/restart:
//!     command: [/usr/local/bin/restart-service, "--host={{ .CommonLabels.host }}"]
//!     environment: { REGION: eu }       # nothing else is in its environment, but for
//!     inherit: [PATH]                   # these variables of this process
//!     working_directory: /var/empty
//!     timeout: 30s                      # then it is killed, with all that it started
//!     cool_down: 5m                     # a group for which it ran is left alone for so long
//!     dry_run: true                     # says what it would run
//! ```
//!
//! There is no shell: every argument goes to the program as it is. The program is an absolute path, written here or, where a field chooses it, one of
//! `allow`. An argument of which a field says nothing is not guessed at: the program is not run; nor where a field that begins an argument
//! would make an option of it. The notification is the program's standard input, as Alertmanager's JSON; its id is `CATCHMENT_NOTIFICATION_ID`.
//!
//! One program at a time, in order. Ending with 75 (EX_TEMPFAIL) asks for another attempt; any other failure is final, since what a
//! program has half done is not done again by itself. Every run is in the log with its outcome and the first 4 KiB of its output.

mod argv;
mod run;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use catchment_pipeline::alerts::Notification;
use catchment_pipeline::component::{
    Context, ExportError, Exporter, ExporterPlan, ExporterSettings, ExporterSpec, Stability,
};
use catchment_pipeline::config::Section;

use self::argv::Argv;
use self::run::{Ended, Run};
use crate::notify::http::{permanent, transient};
use crate::notify::{Channel, Notifier, SIGNALS};

pub const SPEC: ExporterSpec = ExporterSpec {
    kind: "command",
    aliases: &[],
    summary: "runs a program for each notification: no shell, bounded, audited",
    signals: SIGNALS,
    stability: Stability::Alpha,
    plan,
};

/// Groups whose last run is remembered.
const REMEMBERED: usize = 10_000;
const TRY_AGAIN: i32 = 75;

#[derive(Clone, Debug)]
struct Plan {
    settings: ExporterSettings,
    argv: Option<Argv>,
    environment: BTreeMap<String, String>,
    inherit: Vec<String>,
    folder: PathBuf,
    timeout: Duration,
    cool_down: Duration,
    dry_run: bool,
    send_resolved: bool,
}

fn plan(section: &mut Section) -> Box<dyn ExporterPlan> {
    Box::new(read(section))
}

fn read(section: &mut Section) -> Plan {
    let settings = ExporterSettings::read(section, Duration::from_secs(60));
    if settings.num_consumers > 1 {
        section.mistake(
            "sending_queue",
            "programs run one at a time, in order",
            "leave num_consumers out, or set it to 1",
        );
    }
    if settings.timeout.is_zero() {
        section.mistake("timeout", "a program that hangs would stay for ever", "write how long it may take, 60s");
    }
    let environment: BTreeMap<String, String> = section.or("environment", BTreeMap::new());
    for (name, value) in &environment {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            section.mistake("environment", format!("{name:?} is not a variable"), "write NAME: value");
        }
    }
    let folder = section.or("working_directory", "/".to_owned());
    if !folder.starts_with('/') {
        section.mistake("working_directory", "is not an absolute path", "begin it with /");
    }
    Plan {
        argv: Argv::read(section),
        environment,
        inherit: section.or("inherit", Vec::new()),
        folder: folder.into(),
        timeout: settings.timeout,
        cool_down: section.or("cool_down", Duration::from_secs(300)),
        dry_run: section.or("dry_run", false),
        send_resolved: section.or("send_resolved", false),
        settings,
    }
}

#[async_trait]
impl ExporterPlan for Plan {
    /// The program's time is kept here, where what it started is killed with it; the engine's is the last resort.
    fn settings(&self) -> ExporterSettings {
        ExporterSettings { timeout: self.timeout + Duration::from_secs(10), num_consumers: 1, ..self.settings.clone() }
    }

    async fn build(&self, context: Context) -> anyhow::Result<Arc<dyn Exporter>> {
        let Some(argv) = self.argv.clone() else { anyhow::bail!("command names no program") };
        for program in argv.programs() {
            argv::check(program)?;
        }
        let command = Command { id: context.id.clone(), argv, plan: self.clone(), last: Mutex::default() };
        Ok(Arc::new(Notifier::new(context.id, self.send_resolved, command)))
    }
}

struct Command {
    id: String,
    argv: Argv,
    plan: Plan,
    /// By group: the time of the notification it last ran for, in nanoseconds.
    last: Mutex<BTreeMap<String, i64>>,
}

#[async_trait]
impl Channel for Command {
    async fn tell(&self, notification: &Notification) -> Result<(), ExportError> {
        let (channel, id, group) = (&self.id, &notification.id, &notification.group_key);
        if self.cools_down(notification) {
            tracing::info!(channel, id, group, cool_down = ?self.plan.cool_down, "audit: not run, its group cools down");
            return Ok(());
        }
        let (program, arguments) = self.argv.fill(notification).map_err(permanent)?;
        if self.plan.dry_run {
            tracing::info!(channel, id, group, program, ?arguments, "audit: dry run, nothing was started");
            return Ok(());
        }
        // Replaced since the start, perhaps.
        argv::check(&program).map_err(|error| permanent(format!("{error:#}")))?;
        let input = serde_json::to_vec(notification).map_err(|error| permanent(error.to_string()))?;
        let run = Run {
            program: &program,
            arguments: &arguments,
            environment: self.environment(notification),
            folder: &self.plan.folder,
            timeout: self.plan.timeout,
        };
        tracing::info!(channel, id, group, program, ?arguments, "audit: started");
        self.ran(notification);
        let ended =
            run.until_ended(input).await.map_err(|error| transient(format!("cannot start {program}: {error}")))?;
        let Ended { outcome, output } = &ended;
        tracing::info!(channel, id, group, program, outcome = %ended.said(), output, "audit: ended");
        match outcome {
            Some(status) if status.success() => Ok(()),
            Some(status) if status.code() == Some(TRY_AGAIN) => {
                self.forget(notification);
                Err(transient(format!("{program} asks to be run again: {}", ended.said())))
            }
            _ => {
                Err(permanent(format!("{program} failed: {}: {}", ended.said(), crate::otlp_status::shortened(output))))
            }
        }
    }
}

impl Command {
    fn environment(&self, notification: &Notification) -> Vec<(String, String)> {
        let inherited = self.plan.inherit.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
        let own = self.plan.environment.iter().map(|(name, value)| (name.clone(), value.clone()));
        let id = ("CATCHMENT_NOTIFICATION_ID".to_owned(), notification.id.replace('\0', ""));
        inherited.chain(own).chain([id]).collect()
    }

    /// By the times of notifications, so that those which waited are judged as they came.
    fn cools_down(&self, notification: &Notification) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let cool_down = i64::try_from(self.plan.cool_down.as_nanos()).unwrap_or(i64::MAX);
        last.get(&notification.group_key).is_some_and(|last| notification.at < last.saturating_add(cool_down))
    }

    fn ran(&self, notification: &Notification) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert(notification.group_key.clone(), notification.at);
        if last.len() > REMEMBERED {
            let oldest = last.iter().min_by_key(|(_, at)| **at).map(|(group, _)| group.clone());
            oldest.and_then(|group| last.remove(&group));
        }
    }

    fn forget(&self, notification: &Notification) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).remove(&notification.group_key);
    }
}
