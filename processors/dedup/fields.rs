//! `exclude_fields` and `include_fields`: paths into body and attributes, `.` between their parts, `\.` for one within a part.

use catchment_pipeline::batch::attributes::{Attributes, Value};
use catchment_pipeline::config::Section;

#[derive(Debug, Default)]
pub struct Fields {
    pub exclude: Vec<Field>,
    pub include: Vec<Field>,
}

#[derive(Debug)]
pub struct Field {
    pub of_body: bool,
    path: Vec<String>,
}

impl Fields {
    pub fn read(section: &mut Section) -> Fields {
        let mut read = |key: &str| {
            let names = section.or(key, Vec::<String>::new());
            let field = |name: &String| {
                let field = Field::parse(name);
                if field.is_none() {
                    let mend = "write body.x or attributes.x; a dot within a part as \\.";
                    section.mistake(key, format!("{name:?} is no field of a log record"), mend);
                }
                field
            };
            names.iter().filter_map(field).collect::<Vec<_>>()
        };
        let fields = Fields { exclude: read("exclude_fields"), include: read("include_fields") };
        if !fields.exclude.is_empty() && !fields.include.is_empty() {
            section.mistake("include_fields", "exclude_fields is there too", "remove one of the two");
        }
        if fields.exclude.iter().any(|field| field.of_body && field.path.is_empty()) {
            section.mistake("exclude_fields", "the whole body cannot be left out", "name parts of it: body.x");
        }
        fields
    }

    pub fn excludes_of_body(&self) -> bool {
        self.exclude.iter().any(|field| field.of_body)
    }

    pub fn excludes_attributes(&self) -> bool {
        self.exclude.iter().any(|field| !field.of_body)
    }

    /// The set without what is excluded; `None`: as it is.
    pub fn without(&self, json: &str, of_body: bool) -> Option<String> {
        let Ok(Value::Map(mut map)) = Value::parse(json) else { return None };
        let mut changed = false;
        for field in self.exclude.iter().filter(|field| field.of_body == of_body) {
            changed |= remove(&mut map, &field.path);
        }
        changed.then(|| map.to_json())
    }
}

impl Field {
    fn parse(name: &str) -> Option<Field> {
        let mut parts = vec![String::new()];
        let mut chars = name.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if chars.peek() == Some(&'.') => parts.last_mut()?.extend(chars.next()),
                '.' => parts.push(String::new()),
                c => parts.last_mut()?.push(c),
            }
        }
        let of_body = match parts.remove(0).as_str() {
            "body" => true,
            "attributes" if !parts.is_empty() => false,
            _ => return None,
        };
        parts.iter().all(|part| !part.is_empty()).then_some(Field { of_body, path: parts })
    }

    /// Its value as JSON.
    pub fn find(&self, json: &str) -> Option<String> {
        let mut value = Value::parse(json).ok()?;
        for part in &self.path {
            let Value::Map(map) = value else { return None };
            value = map.get(part)?.clone();
        }
        Some(value.to_json())
    }

    pub fn is_whole_body(&self) -> bool {
        self.of_body && self.path.is_empty()
    }
}

fn remove(map: &mut Attributes, path: &[String]) -> bool {
    match path {
        [] => false,
        [last] => map.remove(last).is_some(),
        [first, rest @ ..] => {
            let Some(Value::Map(inner)) = map.get(first) else { return false };
            let mut inner = inner.clone();
            let removed = remove(&mut inner, rest);
            if removed {
                map.insert(first.clone(), Value::Map(inner));
            }
            removed
        }
    }
}
