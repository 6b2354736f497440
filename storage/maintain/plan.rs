//! Which files of a table to merge next: a decision about names, sizes and dates, without looking into any.
//!
//! While a date is open, files of about one size are merged when there are [`FAN`] of them, so that a row is written a few times
//! and the number of files grows with the logarithm of the day. When it has closed, everything is merged once more, into its
//! final shape; what comes later waits until it is worth doing that again.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::files::FileEntry;

/// Files of one size that are merged.
const FAN: usize = 8;
/// At most so many at once: each is open while they are merged.
const MOST: usize = 64;
/// Files below this many bytes are of one size; each next size is [`FAN`] times that.
const SMALL: u64 = 1 << 10;
/// Late rows of a closed date are merged into its files when they are so large a part of them: one in so many.
const WORTHWHILE: u64 = 4;

/// Files of one date to merge.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    pub(crate) files: Vec<Arc<FileEntry>>,
    /// The date has closed: into the shape that stays.
    pub(crate) last: bool,
}

/// What to merge first; `None`: nothing. `open_from`: the first date (days since 1970) that rows are still expected of. `target`: bytes that are
/// large enough for a file. `readable`: whether we may rewrite it (files of other programs may be in another order).
pub(crate) fn next(
    files: &[Arc<FileEntry>],
    open_from: i32,
    target: u64,
    readable: &dyn Fn(&FileEntry) -> bool,
) -> Option<Task> {
    let mut dates = BTreeMap::<i32, Vec<Arc<FileEntry>>>::new();
    for file in files.iter().filter(|file| readable(file)) {
        dates.entry(file.date).or_default().push(file.clone());
    }
    // The newest first: that is what is asked for most.
    dates.into_iter().rev().find_map(|(date, files)| of_date(files, date < open_from, target))
}

fn of_date(mut files: Vec<Arc<FileEntry>>, closed: bool, target: u64) -> Option<Task> {
    files.sort_by(|a, b| (a.ts, &a.path).cmp(&(b.ts, &b.path)));
    let bytes = |files: &[Arc<FileEntry>]| files.iter().map(|file| file.size).sum::<u64>();
    let (done, new): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.tags.merged);
    if closed && !new.is_empty() && new.len() <= MOST && bytes(&new) >= bytes(&done) / WORTHWHILE {
        let small = done.into_iter().filter(|file| file.size < target / 2);
        return Some(Task { files: new.into_iter().chain(small).take(MOST).collect(), last: true });
    }
    let mut sizes = BTreeMap::<u32, Vec<Arc<FileEntry>>>::new();
    for file in new {
        if file.size < target / 2 {
            sizes.entry(size_class(file.size)).or_default().push(file);
        }
    }
    let files = sizes.into_values().find(|files| files.len() >= FAN)?;
    Some(Task { files: files.into_iter().take(MOST).collect(), last: false })
}

fn size_class(bytes: u64) -> u32 {
    (bytes / SMALL).checked_ilog(FAN as u64).map_or(0, |class| class + 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::files::Tags;

    const TARGET: u64 = 128 << 20;

    fn file(name: usize, date: i32, size: u64, merged: bool) -> Arc<FileEntry> {
        let tags = Tags { merged, ..Tags::default() };
        Arc::new(FileEntry {
            path: format!("{name}"),
            size,
            rows: 1,
            date,
            ts: Some((name as i64, name as i64)),
            strings: BTreeMap::new(),
            integers: BTreeMap::new(),
            tags,
            held: Arc::default(),
        })
    }

    fn check(files: &[(i32, u64, bool)], open_from: i32, expect: Option<(&[usize], bool)>) {
        let files = files.iter().enumerate().map(|(n, (date, size, merged))| file(n, *date, *size, *merged));
        let files = files.collect::<Vec<_>>();
        let task = next(&files, open_from, TARGET, &|_| true);
        let names = task.map(|task| {
            let names = task.files.iter().map(|file| file.path.parse::<usize>().unwrap_or(usize::MAX));
            (names.collect::<Vec<_>>(), task.last)
        });
        assert_eq!(names, expect.map(|(names, last)| (names.to_vec(), last)));
    }

    #[test]
    fn files_of_one_size_are_merged_when_there_are_eight() {
        check(&[(1, 100, false); 7], 1, None);
        check(&[(1, 100, false); 9], 1, Some((&[0, 1, 2, 3, 4, 5, 6, 7, 8], false)));
        let mut mixed = vec![(1, 20 << 20, false); 8];
        mixed.insert(0, (1, 100, false));
        check(&mixed, 1, Some((&[1, 2, 3, 4, 5, 6, 7, 8], false)));
        check(&[(1, 64 << 20, false); 20], 1, None);
    }

    #[test]
    fn a_closed_date_is_merged_once() {
        check(&[(1, 100, false)], 2, Some((&[0], true)));
        check(&[(1, 100, true)], 2, None);
        check(&[(1, 100 << 20, true), (1, 100, false)], 2, None);
        check(&[(1, 100 << 20, true), (1, 30 << 20, false)], 2, Some((&[1], true)));
        check(&[(1, 50 << 20, true), (1, 30 << 20, false)], 2, Some((&[1, 0], true)));
        check(&[(1, 100, false), (2, 100, false)], 3, Some((&[1], true)));
    }

    proptest! {
        /// A month of flushes: the number of files stays small, and a row is not written often.
        #[test]
        fn the_number_of_files_is_bounded(size in 100u64..2_000_000, flushes in 1usize..3000) {
            let mut files = Vec::<Arc<FileEntry>>::new();
            let (mut written, mut largest) = (0, 0);
            for n in 0..flushes {
                files.push(file(n, 1, size, false));
                while let Some(task) = next(&files, 1, TARGET, &|_| true) {
                    let gone = task.files.iter().map(|file| file.path.clone()).collect::<BTreeSet<_>>();
                    let sum = task.files.iter().map(|file| file.size).sum::<u64>();
                    files.retain(|file| !gone.contains(&file.path));
                    files.push(file(flushes + written as usize + n, 1, sum, false));
                    written += sum;
                }
                largest = largest.max(files.len());
            }
            let all = size * flushes as u64;
            prop_assert!(written <= all * 9, "each byte written {} times", written / all);
            let large = (all / (TARGET / 2)) as usize;
            prop_assert!(largest <= 60 + large, "{largest} files, {large} of them large");
        }
    }
}
