//! The Collector's OTTL, recognised where SQL is wanted, and said in SQL where that is easy.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What OTTL has and SQL has not.
pub fn is_ottl(text: &str) -> bool {
    static SIGNS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"==|!= ?nil|\bnil\b|\b(SEVERITY_NUMBER|STATUS_CODE|SPAN_KIND|METRIC_DATA_TYPE)_[A-Z]|\w\["|\b(IsMatch|IsString|IsRootSpan|HasAttrOnDatapoint|HasAttrKeyOnDatapoint)\(|^\s*(set|delete_key|delete_matching_keys|keep_keys|replace_pattern|replace_all_patterns|replace_all_matches|truncate_all|limit|merge_maps|convert_sum_to_gauge|convert_gauge_to_sum)\("#).ok()
    });
    SIGNS.as_ref().is_some_and(|signs| signs.is_match(text))
}

/// A condition in SQL, if nothing in it is left that only OTTL knows. Whether it is right SQL is for the compiler to say.
pub fn condition(text: &str) -> Option<String> {
    let mut sql = text.to_owned();
    for (pattern, instead) in RULES.iter() {
        sql = pattern.replace_all(&sql, *instead).into_owned();
    }
    static ENUMS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"\b(SEVERITY_NUMBER|STATUS_CODE|SPAN_KIND|METRIC_DATA_TYPE|AGGREGATION_TEMPORALITY)_([A-Z0-9_]+)\b")
            .ok()
    });
    sql = ENUMS.as_ref()?.replace_all(&sql, |found: &Captures<'_>| enumerated(found)).into_owned();
    static LEFT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"==|\bnil\b|\b[A-Z][a-z]+[A-Z]\w*\(").ok());
    (!LEFT.as_ref()?.is_match(&sql)).then_some(sql)
}

/// `set(attributes["k"], "v") where ...` and `delete_key(attributes, "k")` as `SET`.
pub fn statement(text: &str) -> Option<String> {
    static SHAPE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?s)^\s*(\w+)\((.*)\)(?:\s+where\s+(.*?))?\s*$").ok());
    let shape = SHAPE.as_ref()?.captures(text)?;
    let (verb, arguments) = (shape.get(1)?.as_str(), shape.get(2)?.as_str());
    let (target, value) = arguments.split_once(',')?;
    let (target, value) = (condition(target.trim())?, condition(value.trim())?);
    let set = match verb {
        "set" => format!("SET {target} = {value}"),
        "delete_key" => format!("SET {target}[{value}] = NULL"),
        "keep_keys" => format!("SET {target} = attribute_keep({target}, {})", value.trim_matches(['[', ']'])),
        "delete_matching_keys" => format!("SET {target} = attribute_remove_matching({target}, {value})"),
        "truncate_all" => format!("SET {target} = attribute_truncate({target}, {value})"),
        "replace_pattern" => {
            let (pattern, replacement) = value.split_once(',')?;
            format!("SET {target} = regexp_replace({target}, {}, {}, 'g')", pattern.trim(), replacement.trim())
        }
        _ => return None,
    };
    Some(match shape.get(3) {
        Some(holds) => format!("{set} WHERE {}", condition(holds.as_str())?),
        None => set,
    })
}

static RULES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        (r#""((?:[^"\\]|\\.)*)""#, "'$1'"),
        (r"\bresource\.attributes\b", "resource_attributes"),
        (r"\b(?:instrumentation_scope|scope)\.(name|version|attributes)\b", "scope_$1"),
        (r"\bspan\.status\.code\b|\bstatus\.code\b", "status_code"),
        (r"\bspan\.status\.message\b|\bstatus\.message\b", "status_message"),
        (r"\bspan\.kind(?:\.string)?\b", "kind"),
        (r"\bmetric\.(name|type)\b", "metric_$1"),
        (r"\(?\b(?:span\.)?end_time(?:_unix_nano)?\s*-\s*(?:span\.)?start_time(?:_unix_nano)?\b\)?", "duration_ns"),
        (r"\b(?:log|span|datapoint|metric)\.(\w)", "$1"),
        (r"\bspanevent\.", ""),
        (r"Duration\('(\d+)s'\)", "${1}000000000"),
        (r"Duration\('(\d+)ms'\)", "${1}000000"),
        (r"\bIsRootSpan\(\)", "parent_span_id IS NULL"),
        (r"\bHasAttrKeyOnDatapoint\(('[^']*')\)", "attributes ? $1"),
        (r"\bHasAttrOnDatapoint\(('[^']*'),\s*('[^']*')\)", "attributes[$1] = $2"),
        (r"\bnot IsMatch\(([^,]+),\s*('[^']*')\)", "$1 !~ $2"),
        (r"\bIsMatch\(([^,]+),\s*('[^']*')\)", "$1 ~ $2"),
        (r"(~ '[^']*') == true\b", "$1"),
        (r"!= nil\b", "IS NOT NULL"),
        (r"== nil\b", "IS NULL"),
        ("==", "="),
        ("!=", "<>"),
    ]
    .into_iter()
    .filter_map(|(pattern, instead)| Some((Regex::new(pattern).ok()?, instead)))
    .collect()
});

fn enumerated(found: &Captures<'_>) -> String {
    let name = found.get(2).map_or("", |name| name.as_str());
    let place = |names: &[&str]| names.iter().position(|known| *known == name).map(|place| place.to_string());
    let number = match found.get(1).map_or("", |kind| kind.as_str()) {
        "SEVERITY_NUMBER" => crate::matching::severity_number(name).map(|number| number.to_string()),
        "STATUS_CODE" => place(&["UNSET", "OK", "ERROR"]),
        "SPAN_KIND" => place(&["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]),
        "AGGREGATION_TEMPORALITY" => place(&["UNSPECIFIED", "DELTA", "CUMULATIVE"]),
        // Each kind of point is a table; `metrics` has the two that are numbers.
        "METRIC_DATA_TYPE" if ["GAUGE", "SUM"].contains(&name) => Some(format!("'{}'", name.to_lowercase())),
        _ => None,
    };
    number.unwrap_or_else(|| found.get(0).map_or("", |all| all.as_str()).to_owned())
}
