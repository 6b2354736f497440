//! One program, from its start until it has ended or was killed.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

/// Of its output, kept; the rest is read and let go, so that it does not block.
const OUTPUT: usize = 4 << 10;

pub(super) struct Run<'a> {
    pub program: &'a str,
    pub arguments: &'a [String],
    pub environment: Vec<(String, String)>,
    pub folder: &'a Path,
    pub timeout: Duration,
}

pub(super) struct Ended {
    /// `None`: it took too long and was killed.
    pub outcome: Option<ExitStatus>,
    pub output: String,
}

impl Ended {
    pub fn said(&self) -> String {
        match self.outcome {
            Some(status) => status.to_string(),
            None => "it took too long and was killed".to_owned(),
        }
    }
}

/// What it started is in its process group, and goes with it when nobody waits for it any more.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Run<'_> {
    pub async fn until_ended(self, input: Vec<u8>) -> std::io::Result<Ended> {
        let mut child = tokio::process::Command::new(self.program)
            .args(self.arguments)
            .env_clear()
            .envs(self.environment)
            .current_dir(self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut output = (Vec::new(), Vec::new());
        let ended = tokio::time::timeout(self.timeout, async {
            let feed = async {
                if let Some(mut stdin) = stdin {
                    // It need not read it.
                    let _ = stdin.write_all(&input).await;
                }
            };
            let (.., status) =
                tokio::join!(feed, keep(stdout, &mut output.0), keep(stderr, &mut output.1), child.wait());
            status
        });
        let outcome = match ended.await {
            Ok(status) => Some(status?),
            Err(_) => None,
        };
        drop(group);
        if outcome.is_none() {
            child.wait().await?;
        }
        let mut bytes = output.0;
        bytes.extend_from_slice(&output.1);
        bytes.truncate(OUTPUT);
        Ok(Ended { outcome, output: String::from_utf8_lossy(&bytes).trim().to_owned() })
    }
}

async fn keep(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        let room = (OUTPUT - into.len().min(OUTPUT)).min(read);
        into.extend_from_slice(&piece[..room]);
    }
}
