//! `filesystem`: space and inodes of what is mounted. Virtual file systems and bind mounts are left out unless
//! `include_virtual_filesystems` asks for them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use catchment_pipeline::config::Section;

use super::{Output, Scrape};
use crate::host_metrics::filter::Filter;
use crate::host_metrics::host::Host;
use crate::host_metrics::instrument::{Declaration, Id, Metric};

const BY: &[&str] = &["device", "mode", "mountpoint", "type", "state"];
const USAGE: Metric = Metric::up_down("system.filesystem.usage", "By", "Bytes in each state").by(BY);
const INODES: Metric = Metric::up_down("system.filesystem.inodes.usage", "{inodes}", "Inodes in each state").by(BY);
const UTILIZATION: Metric =
    Metric::gauge("system.filesystem.utilization", "1", "Share of the bytes open to users that is used, 0 to 1")
        .by(&["device", "mode", "mountpoint", "type"])
        .optional();

#[derive(Clone, Debug)]
pub struct Filesystem {
    usage: Id,
    inodes: Id,
    utilization: Id,
    devices: Filter,
    types: Filter,
    mount_points: Filter,
    all: bool,
}

pub fn plan(section: &mut Section, metrics: &mut Declaration) -> Filesystem {
    Filesystem {
        usage: metrics.metric(USAGE),
        inodes: metrics.metric(INODES),
        utilization: metrics.metric(UTILIZATION),
        devices: Filter::read(section, "include_devices", "exclude_devices", "devices"),
        types: Filter::read(section, "include_fs_types", "exclude_fs_types", "fs_types"),
        mount_points: Filter::read(section, "include_mount_points", "exclude_mount_points", "mount_points"),
        all: section.or("include_virtual_filesystems", false),
    }
}

impl Scrape for Filesystem {
    fn scrape(&mut self, host: &mut Host, out: &mut Output) -> anyhow::Result<()> {
        // The first process sees the host's mounts, also from inside a container.
        let table = host
            .text("proc/1/mountinfo")
            .map(str::to_owned)
            .or_else(|_| host.text("proc/self/mountinfo").map(str::to_owned))?;
        let backed = backed_by_devices(host.text("proc/filesystems")?);
        let mut seen = HashSet::new();
        for mount in mounts(&table) {
            let real = backed.contains(mount.kind.as_str()) && !mount.bind;
            if !(self.all || real)
                || !(self.devices.passes(&mount.device)
                    && self.types.passes(&mount.kind)
                    && self.mount_points.passes(&mount.point))
                || !seen.insert((mount.point.clone(), mount.device.clone()))
            {
                continue;
            }
            match rustix::fs::statvfs(seen_from_here(host.root(), &mount.point)) {
                Ok(stat) => self.record(&mount, &stat, out),
                Err(error) => {
                    // Once a kind of error: containers come and go, and each brings mount points of its own.
                    let (kind, point) = (error.to_string(), &mount.point);
                    host.complain("filesystem", &kind, || {
                        format!(
                            "no usage of {point}, and of others like it: {error}; exclude_mount_points leaves them out"
                        )
                    })
                }
            }
        }
        Ok(())
    }
}

impl Filesystem {
    fn record(&self, mount: &Mount, stat: &rustix::fs::StatVfs, out: &mut Output) {
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        let used = bytes(stat.f_blocks.saturating_sub(stat.f_bfree));
        let free = bytes(stat.f_bavail);
        let reserved = bytes(stat.f_blocks).saturating_sub(used).saturating_sub(free);
        let by = |state| [mount.device.as_str(), mount.mode, mount.point.as_str(), mount.kind.as_str(), state];
        out.add(self.usage, used, &by("used"));
        out.add(self.usage, free, &by("free"));
        out.add(self.usage, reserved, &by("reserved"));
        out.add(self.inodes, stat.f_files.saturating_sub(stat.f_ffree), &by("used"));
        out.add(self.inodes, stat.f_ffree, &by("free"));
        out.add(self.utilization, used as f64 / (used + free).max(1) as f64, &by("")[..4]);
    }
}

/// Under `root_path`, unless the mount table already says so.
fn seen_from_here(root: &Path, point: &str) -> PathBuf {
    if Path::new(point).starts_with(root) { point.into() } else { root.join(point.trim_start_matches('/')) }
}

/// Types in `/proc/filesystems` that are not marked `nodev`, and ZFS, whose pools are their own devices.
fn backed_by_devices(text: &str) -> HashSet<String> {
    text.lines()
        .filter(|line| !line.starts_with("nodev"))
        .map(|line| line.trim().to_owned())
        .chain(["zfs".to_owned()])
        .collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Mount {
    device: String,
    point: String,
    kind: String,
    mode: &'static str,
    bind: bool,
}

/// Lines of `mountinfo` (proc_pid_mountinfo(5)); what is not such a line is left out.
fn mounts(table: &str) -> Vec<Mount> {
    // A bind mount names the folder it shows; the device is the one its file system was first mounted from.
    let mut devices = HashMap::new();
    let mut mounts = Vec::new();
    for line in table.lines() {
        let Some((mount, file_system)) = line.split_once(" - ") else { continue };
        let mount = mount.split(' ').collect::<Vec<_>>();
        let mut file_system = file_system.split(' ');
        let (&[_, _, number, root, point, options, ..], Some(kind), Some(source)) =
            (mount.as_slice(), file_system.next(), file_system.next())
        else {
            continue;
        };
        let super_options = file_system.next().unwrap_or_default();
        let named = source.starts_with('/') || root == "/";
        let device = devices.entry(number).or_insert(if named { source } else { root });
        let subvolume = super_options.split(',').any(|option| option.strip_prefix("subvol=") == Some(root));
        let read_only = options.split(',').chain(super_options.split(',')).any(|option| option == "ro");
        mounts.push(Mount {
            device: unescaped(device),
            point: unescaped(point),
            kind: kind.to_owned(),
            mode: if read_only { "ro" } else { "rw" },
            bind: source.starts_with('/') && root != "/" && !subvolume,
        });
    }
    mounts
}

/// The kernel writes space, tab, newline and backslash as `\ooo`.
fn unescaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_gives_devices_modes_and_binds() {
        // The form of proc_pid_mountinfo(5).
        let table = "\
            27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n\
            36 27 254:0 /home/me /mnt/my\\040home ro,noatime master:1 - ext4 /dev/vda rw\n\
            37 27 0:50 /@ /data rw - btrfs /dev/vdb rw,subvol=/@\n\
            38 27 0:21 / /proc rw,nosuid shared:5 - proc proc rw\n\
            a line of another kind\n";
        let mount = |device: &str, point: &str, kind: &str, mode, bind| Mount {
            device: device.into(),
            point: point.into(),
            kind: kind.into(),
            mode,
            bind,
        };
        let expected = [
            mount("/dev/vda", "/", "ext4", "rw", false),
            mount("/dev/vda", "/mnt/my home", "ext4", "ro", true),
            mount("/dev/vdb", "/data", "btrfs", "rw", false),
            mount("proc", "/proc", "proc", "rw", false),
        ];
        assert_eq!(mounts(table), expected);
    }

    #[test]
    fn only_types_on_devices_are_real() {
        let backed = backed_by_devices("nodev\tproc\n\text4\nnodev\ttmpfs\n\txfs\n");
        assert_eq!(backed, ["ext4", "xfs", "zfs"].map(str::to_owned).into());
    }
}
