//! A program that is ended with its test.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, client};

pub struct Peer(Child);

impl Peer {
    pub fn start(program: &Path, args: &[String], log: &Path) -> Peer {
        let log = std::fs::File::create(log).unwrap();
        let mut command = Command::new(program);
        command.args(args).stdout(Stdio::null()).stderr(log);
        Peer(command.spawn().unwrap())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody has just now, for a peer that cannot say which it took.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub async fn until_ready(url: &str, log: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while !client().get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
        assert!(Instant::now() < deadline, "{url}: {}", std::fs::read_to_string(log).unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
