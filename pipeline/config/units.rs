//! Durations as Go and Prometheus write them, and sizes in bytes.

use std::time::Duration;

/// `300ms`, `1m30s`, `1.5h`, `15d`: decimal numbers, each with a unit of ns, us (µs), ms, s, m, h, and as in Prometheus d (24 h), w, y
/// (365 d). `0` needs none.
/// At most what 64 bits of nanoseconds hold, 292 years, as in Go.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    let text = text.trim();
    if text.starts_with('-') && text != "-0" {
        return Err("is negative");
    }
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err("is empty");
    }
    let mut total = 0u128;
    while !rest.is_empty() {
        let (nanos_per_unit, number, after) = part(rest)?;
        total += nanos(number, nanos_per_unit).ok_or("is not a duration")?;
        if total > i64::MAX as u128 {
            return Err("is longer than 292 years");
        }
        rest = after;
    }
    Ok(Duration::from_nanos(u64::try_from(total).unwrap_or(u64::MAX)))
}

/// One number and its unit from the front of `text`: the unit's nanoseconds, the number, and what follows.
fn part(text: &str) -> Result<(u128, &str, &str), &'static str> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or("has no unit")?;
    let (number, after) = text.split_at(end);
    let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
    let (unit, after) = after.split_at(end);
    let nanos_per_unit = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "w" => 7 * 86_400_000_000_000,
        "y" => 365 * 86_400_000_000_000,
        _ => return Err("is not a duration"),
    };
    Ok((nanos_per_unit, number, after))
}

/// Exact, with what is below a nanosecond cut off. `None` for something that is not a decimal number.
fn nanos(number: &str, per_unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || whole.len() > 19 {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u128>().ok()? };
    let mut nanos = whole * per_unit;
    let mut share = per_unit;
    for digit in fraction.bytes() {
        share /= 10;
        nanos += u128::from(digit - b'0') * share;
    }
    Some(nanos)
}

/// `64MiB`, `1.5 GB`, `1024`: powers of 1024 with an `i`, of 1000 without; a bare number is bytes.
pub fn bytes(text: &str) -> Result<u64, &'static str> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let per_unit: u128 = match unit.trim() {
        "" | "B" => 1,
        "k" | "K" | "kB" | "KB" => 1_000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        "T" | "TB" => 1_000_000_000_000,
        "Ki" | "KiB" => 1 << 10,
        "Mi" | "MiB" => 1 << 20,
        "Gi" | "GiB" => 1 << 30,
        "Ti" | "TiB" => 1 << 40,
        _ => return Err("is not a size"),
    };
    let size = nanos(number, per_unit).ok_or("is not a size")?;
    u64::try_from(size).map_err(|_| "is too large")
}
