//! The metrics of a scraper: what each is ([`Metric`]), what the configuration made of it, and the points of
//! the scrape at hand, which leave as OTLP.

use catchment_pipeline::config::Section;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric as OtlpMetric, NumberDataPoint, Sum, metric, number_data_point,
};

/// A metric as semantic conventions and the Collector name it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    pub description: &'static str,
    kind: Kind,
    attributes: &'static [&'static str],
    /// Attributes that points carry only when asked for; without them points are aggregated.
    opt_in: &'static [&'static str],
    optional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A cumulative sum that only grows.
    Counter,
    /// A cumulative sum that goes up and down.
    UpDown,
    Gauge,
}

impl Metric {
    const fn new(kind: Kind, name: &'static str, unit: &'static str, description: &'static str) -> Metric {
        Metric { name, unit, description, kind, attributes: &[], opt_in: &[], optional: false }
    }

    pub const fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Metric {
        Metric::new(Kind::Counter, name, unit, description)
    }

    pub const fn up_down(name: &'static str, unit: &'static str, description: &'static str) -> Metric {
        Metric::new(Kind::UpDown, name, unit, description)
    }

    pub const fn gauge(name: &'static str, unit: &'static str, description: &'static str) -> Metric {
        Metric::new(Kind::Gauge, name, unit, description)
    }

    /// Its attributes, in the order in which [`Instruments::add`] takes their values.
    pub const fn by(self, attributes: &'static [&'static str]) -> Metric {
        Metric { attributes, ..self }
    }

    pub const fn opt_in(self, opt_in: &'static [&'static str]) -> Metric {
        Metric { opt_in, ..self }
    }

    /// Off unless the configuration enables it.
    pub const fn optional(self) -> Metric {
        Metric { optional: true, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(i64),
    Double(f64),
}

impl From<i64> for Number {
    fn from(value: i64) -> Number {
        Number::Int(value)
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Number {
        Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Number {
        Number::from(value as u64)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Number {
        Number::Double(value)
    }
}

/// How points that differ only in dropped attributes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    Sum,
    Avg,
    Min,
    Max,
}

impl Strategy {
    fn merge(self, a: Number, b: Number) -> Number {
        match (a, b) {
            (Number::Int(a), Number::Int(b)) => Number::Int(match self {
                Strategy::Sum | Strategy::Avg => a.saturating_add(b),
                Strategy::Min => a.min(b),
                Strategy::Max => a.max(b),
            }),
            (Number::Double(a), Number::Double(b)) => Number::Double(match self {
                Strategy::Sum | Strategy::Avg => a + b,
                Strategy::Min => a.min(b),
                Strategy::Max => a.max(b),
            }),
            // A metric's points are all of one type.
            (a, _) => a,
        }
    }
}

/// A metric of one [`Instruments`].
#[derive(Clone, Copy, Debug)]
pub struct Id(usize);

#[derive(Clone, Debug)]
struct Instrument {
    metric: Metric,
    enabled: bool,
    /// Which of the metric's attributes points keep.
    kept: Vec<bool>,
    strategy: Strategy,
    points: Vec<Point>,
}

#[derive(Clone, Debug)]
struct Point {
    attributes: Vec<KeyValue>,
    value: Number,
    /// Points that were aggregated into this one.
    count: u32,
}

/// While a scraper is planned: declares its metrics against the `metrics` section.
pub struct Declaration {
    section: Option<Section>,
    list: Vec<Instrument>,
}

impl Declaration {
    pub fn new(scraper: &mut Section) -> Declaration {
        Declaration { section: scraper.section("metrics"), list: Vec::new() }
    }

    pub fn metric(&mut self, metric: Metric) -> Id {
        let kept = metric.attributes.iter().map(|name| !metric.opt_in.contains(name)).collect();
        let strategy = if metric.kind == Kind::Gauge { Strategy::Avg } else { Strategy::Sum };
        let mut instrument = Instrument { metric, enabled: !metric.optional, kept, strategy, points: Vec::new() };
        if let Some(mut section) = self.section.as_mut().and_then(|section| section.section(metric.name)) {
            instrument.configure(&mut section);
        }
        self.list.push(instrument);
        Id(self.list.len() - 1)
    }

    pub fn finish(self) -> Instruments {
        Instruments { list: self.list }
    }
}

impl Instrument {
    fn configure(&mut self, section: &mut Section) {
        self.enabled = section.or("enabled", self.enabled);
        if self.metric.attributes.is_empty() {
            return;
        }
        if let Some(names) = section.get::<Vec<String>>("attributes") {
            for name in &names {
                if !self.metric.attributes.contains(&name.as_str()) {
                    let known = self.metric.attributes.join(", ");
                    section.mistake(
                        "attributes",
                        format!("{} has no attribute {name}", self.metric.name),
                        format!("choose from {known}"),
                    );
                }
            }
            self.kept = self.metric.attributes.iter().map(|known| names.iter().any(|name| name == known)).collect();
        }
        if let Some(word) = section.get::<String>("aggregation_strategy") {
            match word.as_str() {
                "sum" => self.strategy = Strategy::Sum,
                "avg" => self.strategy = Strategy::Avg,
                "min" => self.strategy = Strategy::Min,
                "max" => self.strategy = Strategy::Max,
                _ => section.mistake(
                    "aggregation_strategy",
                    format!("{word} is no strategy"),
                    "choose sum, avg, min or max",
                ),
            }
        }
    }

    fn add(&mut self, value: Number, values: &[&str]) {
        debug_assert_eq!(values.len(), self.metric.attributes.len(), "{}", self.metric.name);
        let named = self.metric.attributes.iter().zip(values).zip(&self.kept);
        let attributes =
            named.filter(|(_, kept)| **kept).map(|((name, value), _)| text(name, *value)).collect::<Vec<_>>();
        if attributes.len() < values.len()
            && let Some(same) = self.points.iter_mut().find(|point| point.attributes == attributes)
        {
            same.value = self.strategy.merge(same.value, value);
            same.count += 1;
            return;
        }
        self.points.push(Point { attributes, value, count: 1 });
    }

    fn take(&mut self, start_time_unix_nano: u64, time_unix_nano: u64) -> OtlpMetric {
        let strategy = self.strategy;
        let data_points = (self.points.drain(..))
            .map(|point| {
                let count = if strategy == Strategy::Avg { point.count } else { 1 };
                let value = match point.value {
                    Number::Int(value) => number_data_point::Value::AsInt(value / i64::from(count)),
                    Number::Double(value) => number_data_point::Value::AsDouble(value / f64::from(count)),
                };
                NumberDataPoint {
                    attributes: point.attributes,
                    start_time_unix_nano,
                    time_unix_nano,
                    value: Some(value),
                    ..NumberDataPoint::default()
                }
            })
            .collect();
        let aggregation_temporality = AggregationTemporality::Cumulative.into();
        let data = match self.metric.kind {
            Kind::Gauge => metric::Data::Gauge(Gauge { data_points }),
            kind => {
                metric::Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: kind == Kind::Counter })
            }
        };
        OtlpMetric {
            name: self.metric.name.to_owned(),
            description: self.metric.description.to_owned(),
            unit: self.metric.unit.to_owned(),
            metadata: Vec::new(),
            data: Some(data),
        }
    }
}

/// A scraper's metrics, filled during a scrape.
#[derive(Clone, Debug)]
pub struct Instruments {
    list: Vec<Instrument>,
}

impl Instruments {
    /// Whether a metric is wanted, so that what only it needs is not read for nothing.
    pub fn on(&self, id: Id) -> bool {
        self.list[id.0].enabled
    }

    pub fn any(&self, ids: &[Id]) -> bool {
        ids.iter().any(|id| self.on(*id))
    }

    /// A point, with the values of the metric's attributes in their declared order.
    pub fn add(&mut self, id: Id, value: impl Into<Number>, values: &[&str]) {
        let instrument = &mut self.list[id.0];
        if instrument.enabled {
            instrument.add(value.into(), values);
        }
    }

    /// The points so far, as OTLP; afterwards there are none.
    pub fn take(&mut self, start: u64, time: u64) -> Vec<OtlpMetric> {
        let filled = self.list.iter_mut().filter(|instrument| !instrument.points.is_empty());
        filled.map(|instrument| instrument.take(start, time)).collect()
    }
}

pub fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

pub fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
