//! A board as it was written, checked, and as the browser is given it.

use std::collections::BTreeMap;

use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Board {
    /// Its file's name.
    pub id: String,
    pub title: String,
    pub description: String,
    pub icon: &'static str,
    pub variables: Vec<Variable>,
    pub sections: Vec<Section>,
}

/// Known icons, in the order of their boards.
pub const ICONS: [&str; 3] = ["host", "services", "custom"];

impl Board {
    pub fn place(&self) -> usize {
        ICONS.iter().position(|icon| *icon == self.icon).unwrap_or(ICONS.len())
    }
}

/// What the reader of a board chooses; `$name` in its queries.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Variable {
    pub name: String,
    pub label: String,
    /// Its first column is what there is to choose from.
    pub query: String,
    pub multi: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Section {
    pub title: String,
    pub panels: Vec<Panel>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Panel {
    pub title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub chart: &'static str,
    pub query: Query,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub percent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Of 12 columns.
    pub span: u8,
    pub height: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub colors: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Threshold>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub legend: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, Column>,
}

/// As `/api/v1/live` takes it; durations are texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Query {
    pub sql: String,
    pub mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookback: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Threshold {
    pub value: f64,
    pub level: &'static str,
}

/// From a table's cells of one column to a page of this app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    pub column: String,
    pub to: String,
}

/// How a table shows one of its columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub percent: bool,
}
