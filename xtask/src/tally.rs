//! Adds up what `cargo test` says, with the tests that skipped themselves for want of a real part.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read, Write};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Tests that skipped themselves; `cargo test` counts them as passed.
    skipped: BTreeSet<String>,
    /// Why, by real part.
    missing: BTreeMap<String, String>,
}

impl Tally {
    /// Passes `output` on to `terminal` as it comes, and adds up its `test result:` lines.
    pub fn follow(output: impl Read, mut terminal: impl Write) -> std::io::Result<Tally> {
        let mut tally = Tally::default();
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            terminal.write_all(&line)?;
            terminal.flush()?;
            tally.line(&String::from_utf8_lossy(&line));
            line.clear();
        }
        Ok(tally)
    }

    fn line(&mut self, line: &str) {
        let Some(result) = line.trim().strip_prefix("test result: ") else { return };
        for part in result.split([';', '.']) {
            match part.trim().split_once(' ') {
                Some((count, "passed")) => self.passed += count.parse::<u64>().unwrap_or(0),
                Some((count, "failed")) => self.failed += count.parse::<u64>().unwrap_or(0),
                Some((count, "ignored")) => self.ignored += count.parse::<u64>().unwrap_or(0),
                _ => {}
            }
        }
    }

    /// Takes in the file that tests write when they skip themselves: `test<TAB>part<TAB>why` a line.
    pub fn skips(&mut self, file: &str) {
        for line in file.lines() {
            let mut fields = line.splitn(3, '\t');
            if let (Some(test), Some(part), Some(why)) = (fields.next(), fields.next(), fields.next()) {
                self.skipped.insert(test.to_owned());
                self.missing.insert(part.to_owned(), why.to_owned());
            }
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (part, why) in &self.missing {
            writeln!(f, "real part skipped: {part} ({why})")?;
        }
        if self.missing.is_empty() {
            writeln!(f, "real parts skipped: none")?;
        }
        let skipped = self.skipped.len() as u64;
        let passed = self.passed.saturating_sub(skipped);
        write!(f, "{passed} passed, {} failed, {} skipped", self.failed, skipped + self.ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_results_and_takes_skipped_tests_out_of_the_passed() {
        let output = "running 3 tests\n...\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s\n\n\
            test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.25s\n";
        let mut tally = Tally::follow(output.as_bytes(), std::io::sink()).unwrap_or_default();
        tally.skips("config::runs\tcollector\tnot built\nhost::names\tcollector\tnot built\nnot a line\n");
        assert_eq!(tally.to_string(), "real part skipped: collector (not built)\n5 passed, 2 failed, 3 skipped");
    }

    #[test]
    fn says_so_when_every_real_part_was_there() {
        assert_eq!(Tally::default().to_string(), "real parts skipped: none\n0 passed, 0 failed, 0 skipped");
    }
}
