//! Rules of people who think in thresholds: a metric, what to make of its points, and a limit.

use catchment_pipeline::config::{Node, Section, Value};

use crate::alerting::rules::Check;

/// Metrics that say little as a whole: what is meant when a rule names nothing but the metric.
const MEANT: [(&str, &str, &str); 2] = [
    // Everything that is not idle.
    ("system.cpu.utilization", "1 - avg(value)", "state = 'idle'"),
    ("system.memory.utilization", "avg(value)", "state = 'used'"),
];

#[derive(Clone, Copy)]
enum Sort {
    One(fn(f64) -> Check),
    Two(fn(f64, f64) -> Check),
}

const CONDITIONS: [(&str, Sort, &str); 16] = [
    ("greater_than", Sort::One(Check::Above), "above"),
    (">", Sort::One(Check::Above), "above"),
    ("greater_than_or_equal", Sort::One(Check::AtLeast), "at least"),
    (">=", Sort::One(Check::AtLeast), "at least"),
    ("less_than", Sort::One(Check::Below), "below"),
    ("<", Sort::One(Check::Below), "below"),
    ("less_than_or_equal", Sort::One(Check::AtMost), "at most"),
    ("<=", Sort::One(Check::AtMost), "at most"),
    ("equal", Sort::One(Check::Equal), "equal to"),
    ("==", Sort::One(Check::Equal), "equal to"),
    ("not_equal", Sort::One(Check::NotEqual), "other than"),
    ("!=", Sort::One(Check::NotEqual), "other than"),
    ("inside_range", Sort::Two(Check::Within), "inside"),
    ("within_range", Sort::Two(Check::Within), "inside"),
    ("outside_range", Sort::Two(Check::Outside), "outside"),
    ("out_of_range", Sort::Two(Check::Outside), "outside"),
];

/// `condition` and `threshold`; `None`: none, or a mistake.
pub fn check(section: &mut Section, required: bool) -> Option<Check> {
    let wanted = required || section.has("condition") || section.has("threshold");
    if !wanted {
        return None;
    }
    let choices = CONDITIONS.map(|(name, sort, _)| (name, sort));
    section.required::<Node>("condition")?;
    let sort = section.choice("condition", &choices);
    let threshold = section.required::<Node>("threshold")?;
    match (sort?, &threshold.value) {
        (Sort::One(check), _) => section.get("threshold").map(check),
        (Sort::Two(check), Value::List(_)) => match section.get::<Vec<f64>>("threshold")?.as_slice() {
            [low, high] if low <= high => Some(check(*low, *high)),
            _ => {
                section.mistake("threshold", "a range is two numbers, the smaller first", "write [10, 90]");
                None
            }
        },
        (Sort::Two(_), _) => {
            section.mistake("threshold", "a range has two ends", "write [10, 90]");
            None
        }
    }
}

/// Name, SQL, check, and a summary for want of another.
pub fn read(section: &mut Section) -> Option<(String, String, Option<Check>, Option<String>)> {
    let metric = section.required::<String>("metric")?;
    let check = check(section, true);
    let words = section.get::<String>("condition").unwrap_or_default();
    let words =
        CONDITIONS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(&words)).map_or("", |(_, _, words)| words);
    let limit = match check? {
        Check::Above(limit)
        | Check::AtLeast(limit)
        | Check::Below(limit)
        | Check::AtMost(limit)
        | Check::Equal(limit)
        | Check::NotEqual(limit) => limit.to_string(),
        Check::Within(low, high) | Check::Outside(low, high) => format!("{low} to {high}"),
    };
    let name = section.get::<String>("name").unwrap_or_else(|| format!("{metric} {words} {limit}"));
    let summary = format!("{} is {{{{ $value | printf \"%.4g\" }}}}, {words} {limit}", metric.replace("{{", "{ {"));
    let sql = sql(section, &metric)?;
    Some((name, sql, check, Some(summary)))
}

fn sql(section: &mut Section, metric: &str) -> Option<String> {
    let by = section.get::<Vec<String>>("group_by");
    let condition = section.get::<String>("where");
    let aggregation = section.get::<String>("aggregation");
    let plain = condition.is_none() && aggregation.is_none();
    let meant = MEANT.iter().find(|(name, ..)| plain && *name == metric);
    let by = match (by, meant) {
        (Some(by), _) => by,
        (None, Some(_)) => vec!["host_name".to_owned()],
        // Each series for itself.
        (None, None) => ["attributes", "resource_attributes"].map(str::to_owned).to_vec(),
    };
    let columns: Vec<String> = by.iter().map(|column| quoted(column)).collect();
    let (condition, own) = match meant {
        Some((_, own, condition)) => (Some((*condition).to_owned()), Some(*own)),
        None => (condition, None),
    };
    let condition = condition.map(|condition| format!(" AND (\n{condition}\n)")).unwrap_or_default();
    let from = format!("FROM {} WHERE $range{condition}", quoted(metric));
    let aggregation = aggregation.unwrap_or_else(|| "avg".to_owned());
    let value = match (own, aggregation.as_str()) {
        (Some(own), _) => own.to_owned(),
        (None, name @ ("avg" | "min" | "max" | "sum" | "count")) => format!("{name}(value)"),
        (None, "last") => "last_value(value ORDER BY ts)".to_owned(),
        (None, "increase") => "sum(added)".to_owned(),
        (None, "rate") => "sum(added) / $range_seconds".to_owned(),
        (None, other) => match percentile(other) {
            Some(share) => format!("approx_percentile_cont(value, {share})"),
            None => {
                let mend = "choose avg, min, max, sum, count, last, rate, increase, or a percentile as p99";
                section.mistake("aggregation", format!("\"{other}\" is no aggregation"), mend);
                return None;
            }
        },
    };
    let from = match value.contains("added") {
        true => format!(
            "FROM (SELECT *, counter_delta(value, lag(value) OVER (PARTITION BY series_id ORDER BY ts), \
             aggregation_temporality) AS added {from})"
        ),
        false => from,
    };
    let seconds = section.or("window", super::rule::WINDOW).as_secs_f64();
    let value = value.replace("$range_seconds", &format!("CAST({seconds} AS DOUBLE)"));
    let (list, group) = match columns.is_empty() {
        true => (String::new(), String::new()),
        false => (columns.join(", ") + ", ", format!(" GROUP BY {}", columns.join(", "))),
    };
    Some(format!("SELECT {list}{value} AS value {from}{group}"))
}

/// `p99`, `p99.9`.
fn percentile(name: &str) -> Option<f64> {
    let percent = name.strip_prefix('p')?.parse::<f64>().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
