//! A file system in memory that forgets what was not fsynced, tears writes, fails and fills up, all from one seed.
//!
//! What a crash of the machine leaves: of a file, what was fsynced and any part of the rest, by sectors; of a folder's names,
//! what was there at its last fsync and the first few changes since. A name moved from a folder to another is moved or not moved.
//! A write that an fsync failed for is lost, though it can be read until then and a later fsync succeeds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::disk::{Disk, Entry, Lock, NewFile, OpenFile};
use crate::tests::data::DAY;

const SECTOR: usize = 512;

/// SplitMix64.
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    /// Never for 0.
    pub(super) fn one_in(&mut self, sides: u64) -> bool {
        sides > 0 && self.roll(sides) == 0
    }
}

type Id = u64;
type Names = BTreeMap<String, Id>;

const ROOT: Id = 0;

#[derive(Debug, Default)]
struct Contents {
    /// What a reader sees.
    live: Vec<u8>,
    /// What is certain to survive.
    durable: Vec<u8>,
    /// Written before a failed fsync: the kernel has forgotten that these must go to disk.
    forgotten: Vec<Range<usize>>,
    /// A crash took some of it.
    torn: bool,
    modified: u64,
}

#[derive(Debug, Default)]
struct Folder {
    live: Names,
    durable: Names,
}

#[derive(Debug)]
enum Node {
    File(Contents),
    Folder(Folder),
}

/// In a folder, a name that is given (`Some`) or taken away.
#[derive(Debug, Clone)]
struct Naming {
    folder: Id,
    name: String,
    to: Option<Id>,
}

impl Naming {
    fn apply(&self, names: &mut Names) {
        match self.to {
            Some(id) => names.insert(self.name.clone(), id),
            None => names.remove(&self.name),
        };
    }
}

/// What goes wrong besides a crash, one operation in so many; 0: never.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Faults {
    pub(super) syncs: u64,
    /// Any other operation.
    pub(super) errors: u64,
}

#[derive(Debug)]
pub(super) struct World {
    dice: Dice,
    nodes: BTreeMap<Id, Node>,
    made: Id,
    /// In order; what is of one operation survives together.
    unsynced: Vec<Vec<Naming>>,
    /// Nanoseconds.
    pub(super) now: u64,
    /// Operations until everything stops.
    pub(super) stop_in: u64,
    pub(super) faults: Faults,
    pub(super) capacity: u64,
    /// Faults so far, a stop included.
    pub(super) faulty: u64,
    /// It has stopped, and somebody has noticed.
    dead: bool,
    /// No operation fails or counts.
    pub(super) calm: bool,
    /// Of all operations so far.
    trace: u64,
    /// Tells each of them.
    pub(super) loud: bool,
}

#[derive(Debug, Clone)]
pub(super) struct SimDisk(Arc<Mutex<World>>);

#[derive(Debug)]
struct SimFile(SimDisk, Id);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    /// As kill -9: what was written is there.
    Process,
    Machine,
}

impl World {
    fn step(&mut self, what: &str, path: &Path) -> io::Result<()> {
        if self.calm {
            return Ok(());
        }
        if self.loud {
            eprintln!("{what} {}{}", path.display(), if self.stop_in == 0 { ": everything has stopped" } else { "" });
        }
        let bytes = what.bytes().chain(path.as_os_str().as_encoded_bytes().iter().copied());
        self.trace = bytes.fold(self.trace, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        self.now += 1_000_000;
        if self.stop_in == 0 {
            self.faulty += 1;
            self.dead = true;
            return Err(io::Error::other("everything has stopped"));
        }
        self.stop_in -= 1;
        let one_in = if what == "sync" { self.faults.syncs } else { self.faults.errors };
        if self.dice.one_in(one_in) {
            self.faulty += 1;
            if self.loud {
                eprintln!("  fails");
            }
            return Err(io::Error::other(format!("{what} {} fails", path.display())));
        }
        Ok(())
    }

    fn find(&self, path: &Path) -> io::Result<Id> {
        let mut at = ROOT;
        for part in path.components() {
            if let Component::Normal(name) = part {
                at = *self.folder(at)?.live.get(&*name.to_string_lossy()).ok_or(ErrorKind::NotFound)?;
            }
        }
        Ok(at)
    }

    fn place(&self, path: &Path) -> io::Result<(Id, String)> {
        let folder = self.find(path.parent().ok_or(ErrorKind::InvalidInput)?)?;
        self.folder(folder)?;
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
        Ok((folder, name.to_string_lossy().into_owned()))
    }

    fn folder(&self, id: Id) -> io::Result<&Folder> {
        match self.nodes.get(&id) {
            Some(Node::Folder(folder)) => Ok(folder),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn file(&mut self, id: Id) -> io::Result<&mut Contents> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(ErrorKind::IsADirectory.into()),
        }
    }

    fn make(&mut self, node: Node) -> Id {
        self.made += 1;
        self.nodes.insert(self.made, node);
        self.made
    }

    fn name(&mut self, parts: Vec<Naming>) {
        for part in &parts {
            if let Some(Node::Folder(folder)) = self.nodes.get_mut(&part.folder) {
                part.apply(&mut folder.live);
            }
        }
        self.unsynced.push(parts);
    }

    fn make_durable(&mut self, parts: &[Naming]) {
        for part in parts {
            if let Some(Node::Folder(folder)) = self.nodes.get_mut(&part.folder) {
                part.apply(&mut folder.durable);
            }
        }
    }

    fn used(&self) -> u64 {
        let len = |node: &Node| if let Node::File(file) = node { file.live.len() as u64 } else { 0 };
        self.reachable().iter().filter_map(|id| self.nodes.get(id)).map(len).sum()
    }

    fn reachable(&self) -> BTreeSet<Id> {
        let mut found = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        while let Some(id) = open.pop() {
            if let Some(Node::Folder(folder)) = self.nodes.get(&id) {
                open.extend(folder.live.values().filter(|id| found.insert(**id)));
            }
        }
        found
    }

    /// What of the names' changes survives: of each folder the first few, so that an operation on two is done or not.
    fn lose_names(&mut self) {
        let chance = [0, 1, 3, 8, 20][self.dice.roll(5) as usize];
        let mut stopped = BTreeSet::new();
        for parts in std::mem::take(&mut self.unsynced) {
            if parts.iter().any(|part| stopped.contains(&part.folder)) || self.dice.one_in(chance) {
                stopped.extend(parts.iter().map(|part| part.folder));
            } else {
                self.make_durable(&parts);
            }
        }
        for node in self.nodes.values_mut() {
            if let Node::Folder(folder) = node {
                folder.live = folder.durable.clone();
            }
        }
    }
}

/// Any part of what was not fsynced.
fn tear(file: &mut Contents, dice: &mut Dice) {
    let kept = file.durable.len();
    let len = kept + dice.roll((file.live.len() - kept) as u64 + 1) as usize;
    let mut found = std::mem::take(&mut file.durable);
    found.extend_from_slice(&file.live[kept..len]);
    found[kept..].chunks_mut(SECTOR).for_each(|sector| {
        if dice.one_in(3) {
            sector.fill(0);
        }
    });
    file.torn |= found != file.live;
    file.durable.clone_from(&found);
    file.live = found;
    file.forgotten.clear();
}

impl SimDisk {
    pub(super) fn new(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(World {
            dice: Dice(seed),
            nodes: BTreeMap::from([(ROOT, Node::Folder(Folder::default()))]),
            made: ROOT,
            unsynced: Vec::new(),
            now: DAY as u64 + 3_600_000_000_000,
            stop_in: u64::MAX,
            faults: Faults::default(),
            capacity: u64::MAX,
            faulty: 0,
            dead: false,
            calm: false,
            trace: seed,
            loud: false,
        })))
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    pub(super) fn stopped(&self) -> bool {
        self.world().stop_in == 0
    }

    pub(super) fn trace(&self) -> u64 {
        self.world().trace
    }

    pub(super) fn used(&self) -> u64 {
        self.world().used()
    }

    /// Looks without being failed.
    pub(super) fn calmly<T>(&self, look: impl FnOnce() -> T) -> T {
        let before = std::mem::replace(&mut self.world().calm, true);
        let seen = look();
        self.world().calm = before;
        seen
    }

    pub(super) fn crash(&self, crash: Crash) {
        let mut world = self.world();
        world.dead = false;
        if world.loud {
            eprintln!("{crash:?} crash");
        }
        if crash == Crash::Process {
            return;
        }
        world.lose_names();
        let reachable = world.reachable();
        let World { nodes, dice, .. } = &mut *world;
        nodes.retain(|id, _| reachable.contains(id));
        for node in nodes.values_mut() {
            if let Node::File(file) = node {
                tear(file, dice);
            }
        }
    }

    /// Whether all of it is as it was written; and its length.
    pub(super) fn whole(&self, path: &Path) -> Option<u64> {
        let mut world = self.world();
        let id = world.find(path).ok()?;
        let file = world.file(id).ok()?;
        (!file.torn).then_some(file.live.len() as u64)
    }
}

impl Disk for SimDisk {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step("make", folder)?;
        if world.find(folder).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let (parent, name) = world.place(folder)?;
        let id = world.make(Node::Folder(Folder::default()));
        world.name(vec![Naming { folder: parent, name, to: Some(id) }]);
        Ok(())
    }

    fn is_folder(&self, path: &Path) -> bool {
        let world = self.world();
        world.find(path).is_ok_and(|id| world.folder(id).is_ok())
    }

    fn exists(&self, path: &Path) -> bool {
        self.world().find(path).is_ok()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut world = self.world();
        world.step("list", folder)?;
        let id = world.find(folder)?;
        let entries = world.folder(id)?.live.iter();
        let entry = |(name, id): (&String, &Id)| Entry { name: name.into(), is_folder: world.folder(*id).is_ok() };
        Ok(entries.map(entry).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        let mut world = self.world();
        world.step("create", path)?;
        let (folder, name) = world.place(path)?;
        let modified = world.now;
        let id = world.make(Node::File(Contents { modified, ..Contents::default() }));
        world.name(vec![Naming { folder, name, to: Some(id) }]);
        Ok(Box::new(SimFile(self.clone(), id)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>> {
        let mut world = self.world();
        world.step("open", path)?;
        let id = world.find(path)?;
        world.file(id)?;
        Ok(Arc::new(SimFile(self.clone(), id)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step("rename", from)?;
        let id = world.find(from)?;
        let (old, new) = (world.place(from)?, world.place(to)?);
        let parts =
            vec![Naming { folder: new.0, name: new.1, to: Some(id) }, Naming { folder: old.0, name: old.1, to: None }];
        world.name(parts);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step("link", to)?;
        let id = world.find(from)?;
        if world.find(to).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let (folder, name) = world.place(to)?;
        world.name(vec![Naming { folder, name, to: Some(id) }]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step("remove", path)?;
        let id = world.find(path)?;
        world.file(id)?;
        let (folder, name) = world.place(path)?;
        world.name(vec![Naming { folder, name, to: None }]);
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step("remove", path)?;
        let id = world.find(path)?;
        if !world.folder(id)?.live.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        let (folder, name) = world.place(path)?;
        world.name(vec![Naming { folder, name, to: None }]);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step("sync", folder)?;
        let id = world.find(folder)?;
        world.folder(id)?;
        // What an operation did to another folder rests on what was done there before.
        let mut folders = BTreeSet::from([id]);
        let mut synced = Vec::new();
        for parts in std::mem::take(&mut world.unsynced).into_iter().rev() {
            if parts.iter().any(|part| folders.contains(&part.folder)) {
                folders.extend(parts.iter().map(|part| part.folder));
                synced.push(parts);
            } else {
                world.unsynced.push(parts);
            }
        }
        world.unsynced.reverse();
        synced.iter().rev().for_each(|parts| world.make_durable(parts));
        Ok(())
    }

    fn modified(&self, path: &Path) -> io::Result<SystemTime> {
        let mut world = self.world();
        world.step("look at", path)?;
        let id = world.find(path)?;
        Ok(UNIX_EPOCH + Duration::from_nanos(world.file(id)?.modified))
    }

    fn lock(&self, _path: &Path) -> io::Result<Lock> {
        Ok(Box::new(()))
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.world().now)
    }

    fn fresh_id(&self) -> Uuid {
        let mut world = self.world();
        let random = u128::from(world.dice.roll(u64::MAX));
        Uuid::from_u128(u128::from(world.now / 1_000_000) << 80 | random)
    }
}

impl Write for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut world = self.0.world();
        let dead = world.dead;
        let outcome = world.step("write", Path::new(""));
        let mut len = bytes.len();
        if outcome.is_err() {
            if dead {
                return Err(ErrorKind::Other.into());
            }
            len = world.dice.roll(len as u64 + 1) as usize;
        }
        if world.capacity < u64::MAX && !world.calm {
            let free = world.capacity.saturating_sub(world.used()) as usize;
            if len > free {
                world.faulty += 1;
                len = free;
            }
        }
        let now = world.now;
        let file = world.file(self.1)?;
        file.live.extend_from_slice(&bytes[..len]);
        file.modified = now;
        outcome?;
        if len == 0 && !bytes.is_empty() { Err(ErrorKind::StorageFull.into()) } else { Ok(len) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for SimFile {
    fn sync(&mut self) -> io::Result<()> {
        let mut world = self.0.world();
        let outcome = world.step("sync", Path::new(""));
        let stopped = world.stop_in == 0;
        let file = world.file(self.1)?;
        if outcome.is_err() {
            if !stopped {
                file.forgotten.push(file.durable.len()..file.live.len());
            }
            return outcome;
        }
        file.durable.clone_from(&file.live);
        for range in &file.forgotten {
            let end = range.end.min(file.durable.len());
            file.durable[range.start.min(end)..end].fill(0);
        }
        Ok(())
    }
}

impl OpenFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.world().file(self.1)?.live.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.0.world();
        world.step("read", Path::new(""))?;
        let file = world.file(self.1)?;
        let bytes = file.live.get(offset as usize..).unwrap_or_default();
        let len = bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }
}
