//! The log on disk besides writing: recovery, deletion, saving cursors, reading what is no longer in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::log::book::{self, Cursors, Found, Saved};
use crate::log::disk::Disk;
use crate::log::format::{Names, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, names, segment_first, segment_name};
use crate::log::interest::{Interest, Reads};
use crate::log::record::{Counts, Origin};
use crate::log::scan::{Scanner, Step, Want};
use crate::log::state::{Segment, State};
use crate::log::tail::Tail;
use crate::log::{Position, Recovery, Shared, Start, rewrite};

#[derive(Debug)]
pub(super) struct Store {
    pub(super) disk: Arc<dyn Disk>,
    /// The cursor file could not be read: cursors begin with the oldest record rather than miss any.
    pub(super) cursors_damaged: bool,
    /// Saving is not safe to do twice at once.
    saving: Mutex<()>,
    /// One relay's state at a time.
    saving_relay: Mutex<()>,
    /// One rewrite at a time.
    pub(super) rewriting: Mutex<()>,
    pub(super) appended: Mutex<Appended>,
    /// Damage already told, by segment and offset: every cursor meets it again.
    told: Mutex<BTreeSet<(Position, u64)>>,
}

impl Store {
    pub(super) fn saving_relay(&self) -> std::sync::MutexGuard<'_, ()> {
        self.saving_relay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What relays appended, as recovery found it, until they ask: what each had read, and its time then.
pub(super) type Appended = BTreeMap<Arc<str>, Vec<(Position, u64)>>;

/// What recovery hands to the log.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) store: Store,
    pub(super) state: State,
    pub(super) recovery: Recovery,
}

/// Finds what is there. Needs memory for one chunk of a segment, whatever the log's size. Damage never stops it.
pub(super) fn recover(disk: Arc<dyn Disk>) -> io::Result<Recovered> {
    rewrite::clear(disk.as_ref())?;
    let mut firsts: Vec<Position> = disk.list()?.iter().filter_map(|name| segment_first(name)).collect();
    firsts.sort_unstable();
    let (cursors, cursors_damaged) = match book::load(disk.as_ref())? {
        Found::Cursors(cursors) => (cursors, false),
        Found::Damaged => {
            tracing::warn!(
                "the log's cursor file is damaged: every exporter begins with the oldest record, and may send records again"
            );
            (Cursors::new(), true)
        }
    };
    let mut walk = Walk::default();
    let mut state = State::default();
    let (mut last, mut last_record) = (0, 0);
    for (index, first) in firsts.iter().copied().enumerate() {
        let next = firsts.get(index + 1).copied();
        match recover_segment(disk.as_ref(), first, next, last_record, &mut walk)? {
            Outcome::Usable(segment) => {
                walk.recovery.segments += 1;
                last = last.max(segment.last);
                if !segment.holds.is_empty() {
                    last_record = segment.last;
                }
                state.segments.push_back(segment);
            }
            Outcome::Unusable { .. } if next.is_some() => {}
            Outcome::Unusable { last: most } => last = last.max(most),
        }
    }
    let Walk { recovery, told, appended } = walk;
    if recovery.lost_records > 0 {
        tracing::error!(records = recovery.lost_records, "data lost: the log is damaged (see above); the rest is used");
    }
    state.head = cursors.values().map(|saved| saved.position).chain([last]).max().unwrap_or(0);
    state.tail = Tail::starting_after(state.head);
    for (name, saved) in cursors {
        let name: Arc<str> = name.into();
        state.cursors.insert(name.clone(), Interest::at(name, saved));
    }
    let store = Store {
        disk,
        cursors_damaged,
        saving: Mutex::default(),
        saving_relay: Mutex::default(),
        rewriting: Mutex::default(),
        told: Mutex::new(told),
        appended: Mutex::new(appended),
    };
    Ok(Recovered { store, state, recovery })
}

/// What the walk over all segments gathers.
#[derive(Debug, Default)]
struct Walk {
    recovery: Recovery,
    told: BTreeSet<(Position, u64)>,
    appended: Appended,
}

impl Walk {
    fn note(&mut self, segment: &mut Segment, header: &RecordHeader, names: Names) {
        segment.note(&names.pipelines, header.position, header.counts(), header.accepted_at());
        self.recovery.records += 1;
        if let Some(Origin { relay, read, at }) = names.origin {
            let appended = self.appended.entry(relay).or_default();
            if appended.last() != Some(&(read, at)) {
                appended.push((read, at));
            }
        }
    }
}

enum Outcome {
    Usable(Segment),
    /// No position in it was beyond `last`.
    Unusable {
        last: Position,
    },
}

/// The newest segment is checked whole, since the crash happened there; older ones by their record headers, their
/// bodies when they are read.
fn recover_segment(
    disk: &dyn Disk,
    first: Position,
    next: Option<Position>,
    last_record: Position,
    found: &mut Walk,
) -> io::Result<Outcome> {
    let name = segment_name(first);
    let file = disk.open(&name)?;
    let bytes = file.len()?;
    let Some(mut scanner) = Scanner::open(file, next.unwrap_or(Position::MAX))? else {
        return unusable(disk, first, bytes, next, found);
    };
    // What the next segment does not acknowledge was refused when the disk failed.
    let counts_to = match next {
        Some(next) => follows(disk, next)?.unwrap_or(next - 1),
        None => Position::MAX,
    };
    // Before the oldest segment everything was passed by all cursors.
    if last_record > 0 {
        missing(&name, 0, last_record, scanner.header.follows, found);
    }
    let mut segment = Segment {
        first,
        last: first - 1,
        bytes,
        readable: SEGMENT_HEADER,
        holds: BTreeMap::new(),
        oldest: None,
        edition: 0,
    };
    let want = if next.is_none() { Want::Body } else { Want::Names };
    let last_group = if next.is_none() { last_group(&mut scanner)? } else { u64::MAX };
    let mut damage: Option<u64> = None;
    // What a relay appended in one go counts when all of it is there.
    let mut begun: Vec<(RecordHeader, Names)> = Vec::new();
    loop {
        match scanner.next(want)? {
            Step::End => break,
            Step::Bad { from, .. } => damage = Some(damage.unwrap_or(from)),
            Step::Good { header, .. } if header.position > counts_to => break,
            Step::Good { header, body, .. } => {
                if let Some(from) = damage.take() {
                    if from >= last_group {
                        break;
                    }
                    let have = begun.last().map_or(segment.last, |(header, _)| header.position);
                    missing(&name, from, have, header.position - 1, found);
                    found.told.insert((first, from));
                }
                let names = names(&body[..body.len().min(usize::from(header.names_len))]);
                let more = names.as_ref().is_some_and(|names| names.more);
                begun.extend(names.map(|names| (header, names)));
                if !more {
                    segment.readable = scanner.offset;
                    begun.drain(..).for_each(|(header, names)| found.note(&mut segment, &header, names));
                }
            }
        }
    }
    if next.is_none() {
        cut(disk, &mut segment, found)?;
    }
    Ok(Outcome::Usable(segment))
}

/// Where the last group that left a readable header begins: what lies before it was acknowledged.
fn last_group(scanner: &mut Scanner) -> io::Result<u64> {
    let mut last = 0;
    loop {
        match scanner.next(Want::Names)? {
            Step::Good { header, .. } => last = last.max(u64::from(header.group)),
            Step::Bad { .. } => {}
            Step::End => break,
        }
    }
    scanner.rewind();
    Ok(last)
}

/// Ends the newest segment after its last good record, and makes that durable before anyone reads it.
fn cut(disk: &dyn Disk, segment: &mut Segment, found: &mut Walk) -> io::Result<()> {
    let file = disk.open(&segment_name(segment.first))?;
    let torn = segment.bytes - segment.readable;
    if torn > 0 {
        tracing::warn!(
            segment = segment_name(segment.first),
            bytes = torn,
            offset = segment.readable,
            "the last write to the log was torn by a crash before it was acknowledged (or damaged since); it is cut"
        );
        file.truncate(segment.readable)?;
        segment.bytes = segment.readable;
        found.recovery.torn_bytes += torn;
    }
    file.sync()
}

/// Neither copy of the header is whole. The newest segment may never have had one: the crash came first.
fn unusable(
    disk: &dyn Disk,
    first: Position,
    bytes: u64,
    next: Option<Position>,
    found: &mut Walk,
) -> io::Result<Outcome> {
    let name = &segment_name(first);
    if next.is_none() && bytes <= SEGMENT_HEADER {
        found.recovery.torn_bytes += bytes;
        disk.remove(name)?;
        return Ok(Outcome::Unusable { last: first - 1 });
    }
    let aside = format!("{name}.damaged");
    tracing::error!(
        segment = name,
        bytes,
        kept_as = aside,
        "data lost: a segment of the log has no readable header; it is put aside, delete it when you have looked at it"
    );
    disk.rename(name, &aside)?;
    disk.sync_names()?;
    Ok(Outcome::Unusable { last: first + bytes / RECORD_HEADER as u64 })
}

fn follows(disk: &dyn Disk, first: Position) -> io::Result<Option<Position>> {
    Ok(Scanner::open(disk.open(&segment_name(first))?, Position::MAX)?.map(|scanner| scanner.header.follows))
}

fn missing(segment: &str, offset: u64, have: Position, should: Position, found: &mut Walk) {
    if should > have {
        let records = should - have;
        found.recovery.lost_records += records;
        tracing::error!(
            segment,
            offset,
            records,
            from = have + 1,
            to = should,
            "data lost: records of the log are damaged"
        );
    }
}

impl Shared {
    /// Writes the cursor file if a commit has not been saved, then deletes what every cursor has passed.
    pub(super) fn save_and_delete(&self) -> io::Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let saving = store.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let cursors = {
            let mut state = self.state();
            let head = state.head;
            std::mem::take(&mut state.unsaved)
                .then(|| state.cursors.values().map(|one| (one.name.to_string(), one.saved(head))).collect::<Cursors>())
        };
        if let Some(cursors) = cursors {
            if let Err(error) = book::save(store.disk.as_ref(), &cursors) {
                self.state().unsaved = true;
                self.stats.cursor_save_failures.fetch_add(1, Relaxed);
                return Err(error);
            }
            self.stats.cursor_saves.fetch_add(1, Relaxed);
        }
        let passed = self.state().take_passed();
        if !passed.is_empty() {
            self.delete(store, &passed);
            let _ = book::keep_reserve(store.disk.as_ref());
        }
        drop(saving);
        Ok(())
    }

    pub(super) fn delete(&self, store: &Store, segments: &[Segment]) {
        for segment in segments {
            let name = segment_name(segment.first);
            if let Err(error) = store.disk.remove(&name) {
                tracing::warn!(segment = name, %error, "cannot delete a segment of the log that nobody needs");
            }
        }
        self.measure(&self.state());
    }

    /// A cursor's place among what the log holds; begins it if it is new.
    pub(super) fn open_on_disk(
        &self,
        store: &Store,
        state: &mut State,
        name: &Arc<str>,
        reads: Reads,
        start: Start,
    ) -> io::Result<()> {
        let oldest_kept = state.segments.front().map_or(state.head, |segment| segment.first - 1);
        let begin = if store.cursors_damaged || start == Start::Oldest { oldest_kept } else { state.head };
        let new = !state.cursors.contains_key(name);
        let (from, reads) = match state.cursors.get(name) {
            Some(cursor) => (cursor.floor(state.head), cursor.and_before(reads)),
            None => (begin, reads),
        };
        let mut waiting = BTreeMap::new();
        let mut oldest = None;
        for segment in state.segments.iter().filter(|segment| segment.last > from) {
            let (counts, at) = if segment.first > from {
                (segment.counts(&reads), segment.oldest)
            } else {
                count_after(store.disk.as_ref(), segment, from, &reads)?
            };
            if counts.records > 0 {
                waiting.insert(segment.first, counts);
                oldest = oldest.or(at);
            }
        }
        if new {
            let begin = Saved { position: begin, pipelines: None };
            state.cursors.insert(name.clone(), Interest::at(name.clone(), begin));
        }
        // Also what it reads, should it be another than before.
        state.unsaved = true;
        state.open_cursor(name, reads, waiting, oldest);
        Ok(())
    }

    pub(super) fn tell_damage(&self, store: &Store, segment: Position, from: u64, to: u64, records: u64) {
        let mut told = store.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert((segment, from)) {
            self.stats.lost(Counts { records, ..Counts::default() });
            tracing::error!(
                segment = segment_name(segment),
                offset = from,
                bytes = to - from,
                records,
                "data lost: a part of the log is damaged on disk; the records in it are skipped"
            );
        }
    }
}

fn count_after(
    disk: &dyn Disk,
    segment: &Segment,
    from: Position,
    reads: &Reads,
) -> io::Result<(Counts, Option<SystemTime>)> {
    let mut sum = Counts::default();
    let mut oldest = None;
    let Some(mut scanner) = Scanner::open(disk.open(&segment_name(segment.first))?, segment.last + 1)? else {
        return Ok((sum, oldest));
    };
    scanner.limit(segment.readable);
    loop {
        match scanner.next(Want::Names)? {
            Step::End => return Ok((sum, oldest)),
            Step::Good { header, body, .. } if header.position > from => {
                let ours = names(&body).is_some_and(|own| reads.wants(&own.pipelines, header.position));
                if ours && header.items > 0 {
                    sum += header.counts();
                    oldest.get_or_insert(header.accepted_at());
                }
            }
            Step::Good { .. } | Step::Bad { .. } => {}
        }
    }
}
