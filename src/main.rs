#[allow(dead_code, unused_imports, reason = "started by the command line, which is being built")]
mod telemetry;

fn main() {}
