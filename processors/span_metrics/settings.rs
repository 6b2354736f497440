//! The Collector's keys.

use std::time::Duration;

use catchment_pipeline::batch::build::{CUMULATIVE, DELTA};
use catchment_pipeline::config::Section;
use regex::Regex;

#[derive(Debug)]
pub struct Settings {
    pub namespace: String,
    pub histogram: Option<Histogram>,
    pub milliseconds: bool,
    pub dimensions: Vec<Dimension>,
    pub calls_dimensions: Vec<Dimension>,
    pub duration_dimensions: Vec<Dimension>,
    /// `None`: no metric of events.
    pub event_dimensions: Option<Vec<Dimension>>,
    pub exclude: Vec<String>,
    pub scopes: Vec<String>,
    pub resource_keys: Vec<String>,
    pub add_resource: bool,
    pub temporality: i32,
    pub flush: Duration,
    pub series_expiration: Duration,
    pub max_series: usize,
    /// A point; 0 for none.
    pub exemplars: usize,
}

#[derive(Debug)]
pub enum Histogram {
    /// Bounds, in the unit of durations.
    Explicit(Vec<f64>),
    /// Buckets at most.
    Exponential(usize),
}

#[derive(Debug)]
pub enum Dimension {
    Named {
        name: String,
        default: Option<String>,
    },
    /// Of all keys that match.
    Glob(Regex),
}

/// The Collector's, in milliseconds.
const BUCKETS: [f64; 16] =
    [2., 4., 6., 8., 10., 50., 100., 200., 400., 800., 1000., 1400., 2000., 5000., 10_000., 15_000.];
const MAX_SERIES: usize = 1_000_000;

pub fn read(section: &mut Section) -> Settings {
    let temporalities = [
        ("AGGREGATION_TEMPORALITY_CUMULATIVE", CUMULATIVE),
        ("AGGREGATION_TEMPORALITY_DELTA", DELTA),
        ("cumulative", CUMULATIVE),
        ("delta", DELTA),
    ];
    let mut settings = Settings {
        namespace: section.or("namespace", "traces.span.metrics".to_owned()),
        histogram: Some(Histogram::Explicit(BUCKETS.to_vec())),
        milliseconds: true,
        dimensions: dimensions(section, "dimensions"),
        calls_dimensions: dimensions(section, "calls_dimensions"),
        duration_dimensions: Vec::new(),
        event_dimensions: None,
        exclude: section.or("exclude_dimensions", Vec::new()),
        scopes: section.or("include_instrumentation_scope", Vec::new()),
        resource_keys: section.or("resource_metrics_key_attributes", Vec::new()),
        add_resource: section.or("add_resource_attributes", false),
        temporality: section.choice("aggregation_temporality", &temporalities).unwrap_or(CUMULATIVE),
        flush: section.or("metrics_flush_interval", Duration::from_secs(60)),
        series_expiration: section.or("series_expiration", Duration::ZERO),
        max_series: match section.or("aggregation_cardinality_limit", 0) {
            0 => MAX_SERIES,
            limit => limit.min(MAX_SERIES),
        },
        exemplars: 0,
    };
    let expiration = section.or("metrics_expiration", Duration::ZERO);
    if settings.series_expiration.is_zero() {
        settings.series_expiration = expiration;
    }
    if settings.flush.is_zero() {
        section.mistake("metrics_flush_interval", "metrics would never rest", "write 1s or more");
    }
    if let Some(histogram) = section.section("histogram") {
        read_histogram(histogram, &mut settings);
    }
    if let Some(mut exemplars) = section.section("exemplars") {
        let most = exemplars.or("max_per_data_point", 5usize).min(1000);
        settings.exemplars = if exemplars.or("enabled", false) { most } else { 0 };
    }
    if let Some(mut events) = section.section("events") {
        let enabled = events.or("enabled", false);
        let dimensions = dimensions(&mut events, "dimensions");
        if enabled && dimensions.is_empty() {
            events.mistake(
                "dimensions",
                "events are counted by attributes of theirs",
                "name some, e.g. exception.type",
            );
        }
        settings.event_dimensions = enabled.then_some(dimensions);
    }
    let series = "aggregation_cardinality_limit bounds series, and so memory";
    section.accepted("dimensions_cache_size", series);
    section.accepted("resource_metrics_cache_size", series);
    section.accepted("metric_timestamp_cache_size", "start times are kept with the series");
    if section.or("enable_metrics_sampling_method", false) {
        section.mistake(
            "enable_metrics_sampling_method",
            "spans are counted as they come, never extrapolated",
            "remove it",
        );
    }
    settings
}

fn read_histogram(mut section: Section, settings: &mut Settings) {
    let disabled = section.or("disable", false);
    settings.milliseconds = section.choice("unit", &[("ms", true), ("s", false)]).unwrap_or(true);
    settings.duration_dimensions = dimensions(&mut section, "dimensions");
    let per_unit = if settings.milliseconds { 1e6 } else { 1e9 };
    let mut histogram = Histogram::Explicit(BUCKETS.iter().map(|ms| ms * 1e6 / per_unit).collect());
    if let Some(mut exponential) = section.section("exponential") {
        histogram = Histogram::Exponential(exponential.or("max_size", 160usize).clamp(2, 4096));
        if section.has("explicit") {
            section.mistake("explicit", "exponential is there too", "remove one of the two");
        }
    }
    if let Some(mut explicit) = section.section("explicit")
        && let Some(buckets) = explicit.get::<Vec<Duration>>("buckets")
    {
        let bounds: Vec<f64> = buckets.iter().map(|bound| bound.as_nanos() as f64 / per_unit).collect();
        if !bounds.windows(2).all(|pair| pair[0] < pair[1]) {
            explicit.mistake("buckets", "each bound must be above the one before", "sort them");
        }
        histogram = Histogram::Explicit(bounds);
    }
    settings.histogram = (!disabled).then_some(histogram);
}

fn dimensions(section: &mut Section, key: &str) -> Vec<Dimension> {
    let mut dimensions = Vec::new();
    for mut item in section.list(key) {
        let (name, glob) = (item.get::<String>("name"), item.get::<String>("glob"));
        let default = item.get::<String>("default");
        match (name, glob) {
            (Some(name), None) => dimensions.push(Dimension::Named { name, default }),
            (None, Some(glob)) => {
                let pattern = regex::escape(&glob).replace(r"\*\*", ".*").replace(r"\*", "[^.]*");
                dimensions.extend(Regex::new(&format!("^{pattern}$")).ok().map(Dimension::Glob));
            }
            _ => item.mistake("", "a dimension is one name or one glob", "write name: http.method, or glob: http.*"),
        }
    }
    dimensions
}
