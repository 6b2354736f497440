//! promtool's notation of series: `up{job="a"}` and `0+10x5 _ stale 3`.

use catchment_pipeline::alerts::{Labels, Matcher, Op};

/// Points of one series.
const MOST: usize = 1_000_000;

/// The metric's name, and labels.
pub fn name(written: &str) -> Result<(String, Labels), String> {
    let written = written.trim();
    let (name, rest) = written.split_at(written.find('{').unwrap_or(written.len()));
    let mut labels = Labels::default();
    for matcher in Matcher::parse_all(rest)? {
        if matcher.op() != Op::Equal {
            return Err(format!("`{matcher}`: a series has labels, not conditions"));
        }
        labels.set(matcher.name(), matcher.value());
    }
    let name = labels.get("__name__").map_or_else(|| name.trim().to_owned(), str::to_owned);
    labels.remove("__name__");
    Ok((name, labels))
}

/// `None`: no point.
pub fn values(written: &str) -> Result<Vec<Option<f64>>, String> {
    let mut values = Vec::new();
    for word in written.split_whitespace() {
        let wrong = || format!("`{word}` is no value of a series");
        if word.contains("{{") {
            return Err(format!("`{word}`: histograms are not supported in tests"));
        }
        // `infx3` has an x of its own.
        let (value, times) = match word.rsplit_once('x') {
            Some((value, times)) => (value, Some(times.parse::<usize>().map_err(|_| wrong())?)),
            None => (word, None),
        };
        if times.is_some_and(|times| values.len() + times >= MOST) || values.len() >= MOST {
            return Err(format!("more than {MOST} points"));
        }
        match (value, times) {
            ("_", times) => values.extend(std::iter::repeat_n(None, times.unwrap_or(1))),
            ("stale", None) => values.push(None),
            (value, None) => values.push(Some(number(value).ok_or_else(wrong)?)),
            (value, Some(times)) => {
                let (first, by) = grows(value).ok_or_else(wrong)?;
                values.extend((0..=times).map(|turn| Some(first + by * turn as f64)));
            }
        }
    }
    Ok(values)
}

/// `1+2`, `1-2`, `1`: what it begins with, and what is added each time.
fn grows(written: &str) -> Option<(f64, f64)> {
    if let Some(number) = number(written) {
        return Some((number, 0.0));
    }
    let signs = written.char_indices().filter(|(at, c)| *at > 0 && "+-".contains(*c));
    signs.filter_map(|(at, _)| Some((number(&written[..at])?, number(&written[at..])?))).next()
}

fn number(written: &str) -> Option<f64> {
    written.parse().ok()
}
