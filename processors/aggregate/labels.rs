//! Which attributes of a series its group keeps, and texts kept once.

use catchment_pipeline::batch::attributes::Attributes;
use catchment_pipeline::batch::build::Series;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::settings::Labels;
use crate::state::snapshot::{Reader, Writer};

/// The attribute sets of a group: its resource's, and its own.
pub struct Kept {
    pub resource: String,
    pub attributes: String,
    pub scope: bool,
}

impl Labels {
    /// `None`: all are kept.
    pub fn of(&self, series: &Series<'_>) -> Option<Kept> {
        let parse = |json: &str| Attributes::parse(json).unwrap_or_default();
        match self {
            Labels::All => None,
            Labels::Without(labels) => {
                let without = |json: &str| {
                    let mut set = parse(json);
                    set.retain(|key, _| !labels.iter().any(|label| is(label, key)));
                    set.to_json()
                };
                let (resource, attributes) = (without(series.resource_attributes), without(series.attributes));
                Some(Kept { resource, attributes, scope: true })
            }
            Labels::By(labels) => {
                // A point's own attribute comes before one of its resource.
                let (mut resource, mut attributes) = (parse(series.resource_attributes), parse(series.attributes));
                attributes.retain(|key, _| labels.iter().any(|label| is(label, key)));
                resource.retain(|key, _| {
                    labels.iter().any(|label| is(label, key)) && !attributes.iter().any(|(own, _)| own == key)
                });
                let scope = labels.iter().any(|label| label == "otel.scope.name");
                Some(Kept { resource: resource.to_json(), attributes: attributes.to_json(), scope })
            }
        }
    }
}

/// `service_name`, as columns are called, means `service.name` too.
fn is(label: &str, key: &str) -> bool {
    label.len() == key.len()
        && label.bytes().zip(key.bytes()).all(|(label, key)| label == key || (label == b'_' && key == b'.'))
}

/// Each text once, by number.
#[derive(Default)]
pub struct Texts {
    index: HashTable<u32>,
    ends: Vec<usize>,
    bytes: String,
}

impl Texts {
    pub fn get(&self, text: u32) -> &str {
        let start = text.checked_sub(1).and_then(|before| self.ends.get(before as usize)).copied().unwrap_or_default();
        let end = self.ends.get(text as usize).copied().unwrap_or(start);
        self.bytes.get(start..end).unwrap_or_default()
    }

    pub fn add(&mut self, text: &str) -> u32 {
        let hash = xxh3_64(text.as_bytes());
        if let Some(known) = self.index.find(hash, |known| self.get(*known) == text) {
            return *known;
        }
        let number = self.ends.len() as u32;
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
        let mut index = std::mem::take(&mut self.index);
        index.insert_unique(hash, number, |known| xxh3_64(self.get(*known).as_bytes()));
        self.index = index;
        number
    }

    /// Bytes of all texts.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.ends.len() * 8
    }

    pub fn save(&self, out: &mut Writer<'_>) {
        out.len(self.ends.len());
        (0..self.ends.len() as u32).for_each(|text| out.text(self.get(text)));
    }

    pub fn restore(state: &mut Reader<'_>) -> anyhow::Result<Texts> {
        let mut texts = Texts::default();
        let len = state.len()?;
        texts.index.reserve(len, |_| 0);
        texts.ends.reserve(len);
        for _ in 0..len {
            texts.add(state.text()?);
        }
        Ok(texts)
    }
}
