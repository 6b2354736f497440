//! What was found or done, for people or as JSON.

use std::fmt::Write;

use catchment_storage::{CheckReport, LakeInfo, MaintenanceReport, TableInfo};
use serde::Serialize;

use super::Erased;
use crate::cli::{self, LakeCommand};

pub fn json(what: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(what)? + "\n")
}

pub fn info(info: &LakeInfo, as_json: bool) -> anyhow::Result<String> {
    if as_json {
        return json(info);
    }
    let head = ["table", "files", "rows", "bytes", "bytes/row", "dates", "in memory"].map(str::to_owned);
    let mut lines = vec![head];
    lines.extend(info.tables.iter().map(line));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = std::array::from_fn::<usize, 7, _>(width);
    let mut text = String::new();
    for line in &lines {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            // Words to the left, numbers to the right.
            match column {
                0 | 5 => write!(text, "{gap}{cell:<width$}")?,
                _ => write!(text, "{gap}{cell:>width$}")?,
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    Ok(text)
}

fn line(table: &TableInfo) -> [String; 7] {
    let dates = match (&table.first_date, &table.last_date) {
        (Some(first), Some(last)) if first == last => first.clone(),
        (Some(first), Some(last)) => format!("{first} to {last} ({})", table.dates),
        _ => "-".to_owned(),
    };
    [
        table.name.clone(),
        table.files.to_string(),
        table.rows.to_string(),
        table.bytes.to_string(),
        table.bytes_per_row.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes:.2}")),
        dates,
        table.hot_rows.map_or_else(|| "-".to_owned(), |rows| rows.to_string()),
    ]
}

pub fn done(report: &MaintenanceReport, args: &cli::Lake) -> anyhow::Result<String> {
    if args.json {
        return json(report);
    }
    let MaintenanceReport { files_merged, files_written, rollups, files_dropped, rows_dropped, files_deleted, .. } =
        report;
    let written = bytes(report.bytes_written);
    let said = match &args.command {
        LakeCommand::Compact { .. } if report.merges > 0 => {
            format!("Merged {files_merged} files into {files_written} ({written})")
        }
        LakeCommand::Compact { .. } => "Nothing to merge".to_owned(),
        LakeCommand::Retain if *rows_dropped > 0 => format!(
            "Dropped {rows_dropped} rows: {files_dropped} files are gone, {} are without the rows that a rule drops",
            report.files_thinned
        ),
        LakeCommand::Retain => "Nothing is past its retention".to_owned(),
        LakeCommand::Rollup { .. } if *rollups > 0 => {
            format!("Added to {rollups} rollup tables: {files_written} files ({written})")
        }
        LakeCommand::Rollup { .. } => "Nothing to roll up".to_owned(),
        _ if *files_deleted > 0 => format!("Deleted {files_deleted} files"),
        _ => "Nothing to delete".to_owned(),
    };
    Ok(format!("{said}, in {:.1} s.\n", report.time.as_secs_f64()))
}

pub fn erased(erased: &Erased, as_json: bool) -> anyhow::Result<String> {
    if as_json {
        return json(erased);
    }
    let mut text = String::new();
    for (table, rows) in &erased.rows {
        writeln!(text, "{table}: erased {rows} rows")?;
    }
    if erased.rows.is_empty() {
        writeln!(text, "No row of the lake matched")?;
    }
    writeln!(text, "{} files written anew; {} rows taken out of the durable log.", erased.files, erased.in_log)?;
    for (table, why) in &erased.not_judged {
        writeln!(text, "{table}: left as it is: {}", why.lines().next().unwrap_or_default())?;
    }
    for exporter in &erased.on_their_way {
        writeln!(text, "Exporter `{exporter}` had been handed records before, and may deliver them as they were.")?;
    }
    for file in &erased.unreadable {
        writeln!(text, "{file} of the durable log cannot be read: nobody knows what it holds. Delete it.")?;
    }
    if erased.still_read > 0 {
        writeln!(text, "{} replaced files are still read by a query, and go when it ends.", erased.still_read)?;
    }
    match erased.remaining {
        0 => writeln!(text, "Looked through the lake and the log again: no matching row is left.")?,
        left => writeln!(text, "{left} matching rows are there still, come since perhaps: do it again.")?,
    }
    Ok(text)
}

pub fn check(report: &CheckReport, as_json: bool) -> anyhow::Result<String> {
    if as_json {
        return json(report);
    }
    let mut text = String::new();
    for problem in &report.problems {
        writeln!(text, "{}: {}", problem.path, problem.what)?;
    }
    for path in &report.unnamed {
        writeln!(text, "{path}: no commit names it; `lake vacuum` deletes it in time")?;
    }
    let sum = |of: fn(&catchment_storage::Checked) -> u64| report.tables.iter().map(of).sum::<u64>();
    let (files, rows, size) = (sum(|table| table.files), sum(|table| table.rows), sum(|table| table.bytes));
    let what = format!("{files} files with {rows} rows ({}) are whole", bytes(size));
    match report.problems.len() {
        0 => writeln!(text, "{what}; nothing is wrong.")?,
        1 => writeln!(text, "{what}; 1 file is not.")?,
        count => writeln!(text, "{what}; {count} files are not.")?,
    }
    Ok(text)
}

fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}
