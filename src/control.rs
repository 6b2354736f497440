//! `control.sock` in the lake's folder: how `catchment lake ...` has the instance that writes the lake do something.
//!
//! One request a connection: a line of JSON in, a line of JSON out, each at most [`LONGEST`] bytes. Only the user the instance
//! runs as (and root) is heard. Whoever writes the lake holds its lock, so a socket that is there before is a dead one's.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use catchment_pipeline::log::Log;
use catchment_storage::{Compact, Lake, LakeInfo, MaintenanceReport};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::lake::{Erased, erase};

const NAME: &str = "control.sock";
/// Bytes of a request or an answer.
const LONGEST: u64 = 64 << 10;
/// Characters of what went wrong.
const LONGEST_ERROR: usize = 4 << 10;
/// Connections at once; others wait to be taken. What changes files is done one after another anyway.
const CONNECTIONS: usize = 8;
/// For a request to come once its connection has.
const PATIENCE: Duration = Duration::from_secs(10);
/// When the instance stops, for requests under way to end at their next step.
const ENDING: Duration = Duration::from_secs(10);
/// Bytes that the address of a socket may have on Linux, the closing zero not counted.
const LONGEST_ADDRESS: usize = 107;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    Info,
    /// Write to files what is in memory.
    Flush,
    Compact {
        all: bool,
    },
    Retain,
    Rollup {
        now: bool,
    },
    Vacuum {
        after: Option<Duration>,
    },
    /// Rows that this SQL condition means, wherever they are.
    Erase {
        condition: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Info(LakeInfo),
    Done(MaintenanceReport),
    Erased(Erased),
    Failed(String),
}

/// Blocks as long as it takes.
pub fn carry_out(lake: &Arc<Lake>, log: &Log, request: &Request) -> Answer {
    let done = match request {
        Request::Erase { condition } => return erase(lake, log, condition).map_or_else(failed, Answer::Erased),
        Request::Info => return Answer::Info(lake.info()),
        Request::Flush => lake.flush().map(|_| MaintenanceReport::default()),
        Request::Compact { all } => lake.compact(if *all { Compact::All } else { Compact::Due }),
        Request::Retain => lake.retain(),
        Request::Rollup { now } => lake.roll_up(*now),
        Request::Vacuum { after } => lake.vacuum(*after),
    };
    done.map_or_else(failed, Answer::Done)
}

fn failed(error: anyhow::Error) -> Answer {
    Answer::Failed(format!("{error:#}").chars().take(LONGEST_ERROR).collect())
}

/// Has the instance that writes this lake do it; `None`: none does. Blocks as long as it takes.
pub fn ask(lake: &Path, request: &Request) -> anyhow::Result<Option<Answer>> {
    let (address, _folder) = match address(lake) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        address => address.with_context(|| format!("opening {}", lake.display()))?,
    };
    let mut connection = match Connection::connect(address) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        connection => connection.with_context(|| format!("asking the instance at {}", lake.join(NAME).display()))?,
    };
    let mut line = serde_json::to_vec(request)?;
    ensure!((line.len() as u64) < LONGEST, "the request is longer than {LONGEST} bytes");
    line.push(b'\n');
    let mut answer = Vec::new();
    connection
        .write_all(&line)
        .and_then(|()| connection.take(LONGEST).read_to_end(&mut answer))
        .context("the instance that writes the lake went away before it answered")?;
    if answer.last() != Some(&b'\n') {
        bail!("the instance that writes the lake ended before it answered; what it had not committed is as it was");
    }
    serde_json::from_slice(&answer).map(Some).context("an answer of another version: use the instance's own program")
}

/// Where the socket is, for a system call. A path that is too long goes through the folder, which stays open meanwhile.
fn address(lake: &Path) -> std::io::Result<(PathBuf, Option<File>)> {
    let path = lake.join(NAME);
    if path.as_os_str().len() <= LONGEST_ADDRESS {
        return Ok((path, None));
    }
    let folder = File::open(lake)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd())), Some(folder)))
}

/// Answers until it is stopped or dropped.
pub struct Control {
    accepting: tokio::task::JoinHandle<()>,
    requests: TaskTracker,
    path: PathBuf,
}

impl Control {
    /// `folder`: the lake's. An instance that cannot be told things runs all the same: `None`.
    pub fn start(lake: &Arc<Lake>, log: &Log, folder: &Path) -> Option<Control> {
        let path = folder.join(NAME);
        match listen(folder) {
            Ok(listener) => {
                let requests = TaskTracker::new();
                let accepting = tokio::spawn(accept(listener, Arc::downgrade(lake), log.clone(), requests.clone()));
                Some(Control { accepting, requests, path })
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), "`catchment lake` cannot reach this instance, its socket cannot be made: {error}");
                None
            }
        }
    }

    /// Takes no more, and ends what is under way.
    pub async fn stop(self, lake: &Lake) {
        self.accepting.abort();
        lake.close();
        self.requests.close();
        if tokio::time::timeout(ENDING, self.requests.wait()).await.is_err() {
            tracing::info!("not waiting any longer for a command on the lake; what it has not committed is as it was");
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = fs::remove_file(&self.path);
    }
}

fn listen(folder: &Path) -> std::io::Result<UnixListener> {
    let path = folder.join(NAME);
    if fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(&path)?;
    }
    let (address, _folder) = address(folder)?;
    let listener = UnixListener::bind(address)?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn accept(listener: UnixListener, lake: Weak<Lake>, log: Log, requests: TaskTracker) {
    let turns = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(turn) = turns.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((connection, _)) => {
                let (lake, log) = (lake.clone(), log.clone());
                requests.spawn(async move {
                    if let Err(error) = serve(connection, lake, log).await {
                        tracing::debug!("a connection of `catchment lake` ended: {error:#}");
                    }
                    drop(turn);
                });
            }
            // Out of file descriptors, most likely.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(mut connection: UnixStream, lake: Weak<Lake>, log: Log) -> anyhow::Result<()> {
    let peer = connection.peer_cred()?.uid();
    ensure!(
        peer == 0 || peer == rustix::process::geteuid().as_raw(),
        "user {peer} is not the one this instance runs as"
    );
    let mut line = Vec::new();
    let mut reader = BufReader::new((&mut connection).take(LONGEST));
    tokio::time::timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await.context("no request came")??;
    let answer = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => match lake.upgrade() {
            Some(lake) => {
                match &request {
                    // The condition names whom the rows are of.
                    Request::Erase { .. } => tracing::info!("told by `catchment lake` to erase rows"),
                    request => tracing::info!(?request, "told by `catchment lake`"),
                }
                tokio::task::spawn_blocking(move || carry_out(&lake, &log, &request)).await?
            }
            None => Answer::Failed("the instance is stopping".to_owned()),
        },
        Err(error) => Answer::Failed(format!("not a request this version knows: {error}")),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    connection.write_all(&line).await?;
    Ok(connection.shutdown().await?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use catchment_storage::Options;

    use super::*;

    fn log() -> Log {
        Log::in_memory(catchment_pipeline::log::Options::default())
    }

    fn lake(folder: &Path) -> Arc<Lake> {
        Arc::new(Lake::open(Options::new(folder)).unwrap())
    }

    /// What comes back for these bytes.
    fn say(folder: &Path, bytes: &[u8]) -> String {
        let mut connection = Connection::connect(folder.join(NAME)).unwrap();
        // The other side may hang up before it has read all.
        let _ = connection.write_all(bytes);
        let _ = connection.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        let _ = connection.read_to_string(&mut answer);
        answer
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_no_request_is_answered_and_the_next_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake(folder.path());
        let control = Control::start(&lake, &log(), folder.path()).unwrap();
        let path = folder.path().to_owned();
        let asking = tokio::task::spawn_blocking(move || {
            for wrong in [
                &b"no JSON\n"[..],
                b"\n",
                b"",
                b"{\"command\":\"explode\"}\n",
                b"{\"command\":\"compact\",\"all\":true,\"more\":1}\n",
            ] {
                let answer = say(&path, wrong);
                assert!(answer.starts_with("{\"failed\":\"not a request this version knows"), "{answer}");
            }
            let endless = vec![b' '; LONGEST as usize + 10];
            assert!(!say(&path, &endless).contains("done"));
            assert!(say(&path, b"{\"command\":\"flush\"}\n").starts_with("{\"done\":"));
            let Ok(Some(Answer::Info(info))) = ask(&path, &Request::Info) else { panic!("no info") };
            assert_eq!(info, lake.info());
            lake
        });
        let lake = asking.await.unwrap();
        control.stop(&lake).await;
        assert!(ask(folder.path(), &Request::Info).unwrap().is_none());
        assert!(ask(&folder.path().join("elsewhere"), &Request::Info).unwrap().is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_socket_that_is_left_is_replaced_and_a_long_path_is_no_hindrance() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a".repeat(100)).join("b".repeat(100));
        fs::create_dir_all(&deep).unwrap();
        let lake = lake(&deep);
        drop(listen(&deep).unwrap());
        assert!(deep.join(NAME).exists());
        let path = deep.clone();
        let left = tokio::task::spawn_blocking(move || ask(&path, &Request::Info)).await.unwrap().unwrap();
        assert_eq!(left, None);
        let control = Control::start(&lake, &log(), &deep).unwrap();
        let path = deep.clone();
        let answer = tokio::task::spawn_blocking(move || ask(&path, &Request::Info)).await.unwrap().unwrap();
        assert_eq!(answer, Some(Answer::Info(lake.info())));
        control.stop(&lake).await;
        assert!(!deep.join(NAME).exists());
    }

    #[tokio::test]
    async fn what_is_there_and_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), "mine").unwrap();
        let lake = lake(folder.path());
        assert!(Control::start(&lake, &log(), folder.path()).is_none());
        assert_eq!(fs::read(folder.path().join(NAME)).unwrap(), b"mine");
    }
}
