//! quiver 0.62, OpenTelemetry's durable buffer, beside our log: same requests, same folder, same run (decision 0001).
//!
//! In this folder: `cargo run --release -- throughput [FOLDER]` and `cargo run --release -- kill [ROUNDS] [FOLDER]`.
//! The folder's file system is what is measured; without one, a folder under the current directory.
//!
//! Both answer after the fsync (quiver with `flush_interval` zero), both check the request as OTLP first, and both
//! have one subscriber that acknowledges what it reads.

#[path = "../data/mod.rs"]
mod data;
mod kill;
mod store;
mod throughput;

use std::path::PathBuf;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |n: usize| args.get(n).map(String::as_str);
    let folder = |n: usize| arg(n).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match arg(0) {
        Some("throughput") => runtime.block_on(throughput::run(&folder(1))),
        Some("kill") => kill::run(&runtime, arg(1).map_or(20, |rounds| rounds.parse().unwrap()), &folder(2)),
        Some("sender") => runtime.block_on(kill::send(arg(1).unwrap(), &folder(2), arg(3).unwrap().parse().unwrap())),
        _ => panic!("throughput [FOLDER] | kill [ROUNDS] [FOLDER]"),
    }
}
