//! What a setting says of a notification: text with fields in it, written as in Alertmanager's templates, of which these are the plain look-ups:
//! `{{ .Status }}`, `{{ .Receiver }}`, `{{ .GroupKey }}`, `{{ .ExternalURL }}`, `{{ .CommonLabels.host }}`, `{{ .GroupLabels.host }}`,
//! `{{ .CommonAnnotations.summary }}`, `{{ index .CommonLabels "host.name" }}`; and `{{ .Title }}`, what would stand there otherwise.

use catchment_pipeline::alerts::{Notification, Status};
use catchment_pipeline::config::Section;

use super::message;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Title,
    Status,
    Receiver,
    GroupKey,
    ExternalUrl,
    Id,
    Of(Map, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Map {
    GroupLabels,
    CommonLabels,
    CommonAnnotations,
}

impl Map {
    const ALL: [(&str, Map); 3] = [
        (".GroupLabels", Map::GroupLabels),
        (".CommonLabels", Map::CommonLabels),
        (".CommonAnnotations", Map::CommonAnnotations),
    ];
}

const MEND: &str = "write {{ .CommonLabels.host }}, {{ index .GroupLabels \"host.name\" }}, {{ .CommonAnnotations.summary }}, \
                    {{ .Status }}, {{ .Receiver }}, {{ .GroupKey }}, {{ .ExternalURL }}, {{ .ID }} or {{ .Title }}";

impl Fields {
    /// `None`: absent or wrong.
    pub fn read(section: &mut Section, key: &str) -> Option<Fields> {
        let text = section.get::<String>(key)?;
        Fields::parse_or_mistake(section, key, &text)
    }

    pub fn parse_or_mistake(section: &Section, key: &str, text: &str) -> Option<Fields> {
        Fields::parse(text).map_err(|what| section.mistake(key, what, MEND)).ok()
    }

    pub fn parse(text: &str) -> Result<Fields, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, after) = after.split_once("}}").ok_or("a {{ without its }}")?;
            // `{{-` and `-}}` take blanks away.
            let (trim_left, inside) = inside.strip_prefix("- ").map_or((false, inside), |inside| (true, inside));
            let (trim_right, inside) = inside.strip_suffix(" -").map_or((false, inside), |inside| (true, inside));
            let before = if trim_left { before.trim_end() } else { before };
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Field(field(inside.trim())?));
            rest = if trim_right { after.trim_start() } else { after };
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(Fields(parts))
    }

    /// It says the same whatever the notification.
    pub fn constant(&self) -> Option<&str> {
        match &self.0[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub fn begins_with_a_field(&self) -> bool {
        matches!(self.0.first(), Some(Part::Field(_)))
    }

    /// With the first field that says nothing, if there is one.
    pub fn fill(&self, notification: &Notification) -> (String, Option<String>) {
        let (mut text, mut missing) = (String::new(), None);
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Field(field) => {
                    let value = field.of(notification);
                    if value.is_empty() {
                        missing.get_or_insert_with(|| field.name());
                    }
                    text.push_str(&value);
                }
            }
        }
        (text, missing)
    }
}

/// What `own` says, or else what every channel would.
pub(crate) fn title(own: Option<&Fields>, notification: &Notification) -> String {
    own.map_or_else(|| message::title(notification), |own| own.fill(notification).0)
}

impl Field {
    fn of(&self, notification: &Notification) -> String {
        match self {
            Field::Title => message::title(notification),
            Field::Status => match notification.status {
                Status::Firing => "firing".to_owned(),
                Status::Resolved => "resolved".to_owned(),
            },
            Field::Receiver => notification.receiver.clone(),
            Field::GroupKey => notification.group_key.clone(),
            Field::ExternalUrl => notification.external_url.clone(),
            Field::Id => notification.id.clone(),
            Field::Of(map, name) => {
                let labels = match map {
                    Map::GroupLabels => &notification.group_labels,
                    Map::CommonLabels => &notification.common_labels,
                    Map::CommonAnnotations => &notification.common_annotations,
                };
                labels.get(name).unwrap_or_default().to_owned()
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Field::Title => "Title".to_owned(),
            Field::Status => "Status".to_owned(),
            Field::Receiver => "Receiver".to_owned(),
            Field::GroupKey => "GroupKey".to_owned(),
            Field::ExternalUrl => "ExternalURL".to_owned(),
            Field::Id => "ID".to_owned(),
            Field::Of(map, name) => format!("{map:?}.{name}"),
        }
    }
}

fn field(text: &str) -> Result<Field, String> {
    let unknown = || format!("{{{{ {text} }}}} is not a field that is known here");
    let name_of = |name: &str| {
        let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        fits.then(|| name.to_owned())
    };
    Ok(match text {
        ".Title" => Field::Title,
        ".Status" => Field::Status,
        ".Receiver" => Field::Receiver,
        ".GroupKey" => Field::GroupKey,
        ".ExternalURL" => Field::ExternalUrl,
        ".ID" => Field::Id,
        _ => {
            let indexed = text.strip_prefix("index ").map(str::trim);
            let found = Map::ALL.iter().find_map(|(prefix, map)| {
                let name = match indexed {
                    Some(indexed) => {
                        let name = indexed.strip_prefix(prefix)?.strip_prefix(' ')?.trim();
                        serde_json::from_str::<String>(name).ok()?
                    }
                    None => name_of(text.strip_prefix(prefix)?.strip_prefix('.')?)?,
                };
                Some(Field::Of(*map, name))
            });
            found.ok_or_else(unknown)?
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use catchment_pipeline::alerts::Labels;

    #[test]
    fn fields() {
        let notification = Notification {
            common_labels: Labels::new([("host", "a"), ("host.name", "b {{ .Status }}")]),
            receiver: "ops".to_owned(),
            ..Notification::default()
        };
        let fill = |text: &str| Fields::parse(text).unwrap().fill(&notification);
        assert_eq!(fill("on {{ .CommonLabels.host }}: {{.Status}}!"), ("on a: firing!".to_owned(), None));
        assert_eq!(fill(r#"{{ index .CommonLabels "host.name" }}"#).0, "b {{ .Status }}");
        assert_eq!(fill("a {{- .Receiver -}} b").0, "aopsb");
        assert_eq!(fill("x{{ .GroupLabels.y }}"), ("x".to_owned(), Some("GroupLabels.y".to_owned())));
        assert_eq!(Fields::parse("--force").unwrap().constant(), Some("--force"));
        for wrong in
            ["{{ .Alerts }}", "{{ if .Status }}", "{{ .CommonLabels }}", "{{ .Status", "{{ .CommonLabels.a.b }}"]
        {
            assert!(Fields::parse(wrong).is_err(), "{wrong}");
        }
    }
}
