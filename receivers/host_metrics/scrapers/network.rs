//! `network`: traffic of interfaces, and TCP connections by state.

use std::io::{BufRead as _, BufReader, ErrorKind};

use anyhow::Context as _;
use catchment_pipeline::config::Section;
use procfs::net::InterfaceDeviceStatus;
use procfs::prelude::*;

use super::{Output, Scrape};
use crate::host_metrics::filter::Filter;
use crate::host_metrics::host::Host;
use crate::host_metrics::instrument::{Declaration, Id, Metric};

const BY: &[&str] = &["device", "direction"];
const IO: Metric = Metric::counter("system.network.io", "By", "Bytes received and sent").by(BY);
const PACKETS: Metric = Metric::counter("system.network.packets", "{packets}", "Packets received and sent").by(BY);
const ERRORS: Metric =
    Metric::counter("system.network.errors", "{errors}", "Errors while receiving and sending").by(BY);
const DROPPED: Metric = Metric::counter("system.network.dropped", "{packets}", "Packets dropped").by(BY);
const CONNECTIONS: Metric = Metric::up_down("system.network.connections", "{connections}", "Connections in each state")
    .by(&["protocol", "state"]);
const TRACKED: Metric =
    Metric::up_down("system.network.conntrack.count", "{entries}", "Entries of the connection tracking table")
        .optional();
const TRACKED_MAX: Metric =
    Metric::up_down("system.network.conntrack.max", "{entries}", "Limit of the connection tracking table").optional();

/// The kernel's states of TCP, by its number less one.
const TCP_STATES: [&str; 11] = [
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
];

#[derive(Clone, Debug)]
pub struct Network {
    io: Id,
    packets: Id,
    errors: Id,
    dropped: Id,
    connections: Id,
    tracked: Id,
    tracked_max: Id,
    filter: Filter,
}

pub fn plan(section: &mut Section, metrics: &mut Declaration) -> Network {
    Network {
        io: metrics.metric(IO),
        packets: metrics.metric(PACKETS),
        errors: metrics.metric(ERRORS),
        dropped: metrics.metric(DROPPED),
        connections: metrics.metric(CONNECTIONS),
        tracked: metrics.metric(TRACKED),
        tracked_max: metrics.metric(TRACKED_MAX),
        filter: Filter::read(section, "include", "exclude", "interfaces"),
    }
}

impl Scrape for Network {
    fn scrape(&mut self, host: &mut Host, out: &mut Output) -> anyhow::Result<()> {
        if out.any(&[self.io, self.packets, self.errors, self.dropped]) {
            let devices = InterfaceDeviceStatus::from_read(host.text("proc/net/dev")?.as_bytes())?;
            let mut devices =
                devices.0.into_values().filter(|device| self.filter.passes(&device.name)).collect::<Vec<_>>();
            devices.sort_by(|a, b| a.name.cmp(&b.name));
            for device in devices {
                let (receive, transmit) = ([device.name.as_str(), "receive"], [device.name.as_str(), "transmit"]);
                out.add(self.io, device.recv_bytes, &receive);
                out.add(self.io, device.sent_bytes, &transmit);
                out.add(self.packets, device.recv_packets, &receive);
                out.add(self.packets, device.sent_packets, &transmit);
                out.add(self.errors, device.recv_errs, &receive);
                out.add(self.errors, device.sent_errs, &transmit);
                out.add(self.dropped, device.recv_drop, &receive);
                out.add(self.dropped, device.sent_drop, &transmit);
            }
        }
        if out.on(self.connections) {
            for (state, count) in TCP_STATES.iter().zip(connections(host)?) {
                out.add(self.connections, count, &["tcp", state]);
            }
        }
        for (id, file) in [(self.tracked, "nf_conntrack_count"), (self.tracked_max, "nf_conntrack_max")] {
            if out.on(id) {
                match host
                    .text(&format!("proc/sys/net/netfilter/{file}"))
                    .and_then(|text| Ok(text.trim().parse::<u64>()?))
                {
                    Ok(count) => out.add(id, count, &[]),
                    Err(error) => {
                        host.complain("network", file, || format!("no connection tracking figures: {error:#}"))
                    }
                }
            }
        }
        Ok(())
    }
}

/// Counts lines of `/proc/net/tcp` and `tcp6` by their fourth field. A busy host has tens of thousands: they are
/// not kept.
fn connections(host: &Host) -> anyhow::Result<[u64; TCP_STATES.len()]> {
    let mut counts = [0; TCP_STATES.len()];
    for file in ["proc/net/tcp", "proc/net/tcp6"] {
        let path = host.path(file);
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            // Without IPv6 in the kernel, one of them is not there.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let (mut reader, mut line) = (BufReader::with_capacity(64 << 10, file), String::new());
        while reader.read_line(&mut line)? > 0 {
            let state = line.split_ascii_whitespace().nth(3).and_then(|state| usize::from_str_radix(state, 16).ok());
            if let Some(count) = state.and_then(|state| counts.get_mut(state.wrapping_sub(1))) {
                *count += 1;
            }
            line.clear();
        }
    }
    Ok(counts)
}
