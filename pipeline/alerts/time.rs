//! Nanoseconds since 1970 and RFC 3339.

use chrono::{DateTime, SecondsFormat, Utc};

/// What Go calls the zero time: "not set" in Alertmanager's JSON.
const ZERO: &str = "0001-01-01T00:00:00Z";

/// `0` is Go's zero time.
pub fn format(nanos: i64) -> String {
    match nanos {
        0 => ZERO.to_owned(),
        _ => DateTime::<Utc>::from_timestamp_nanos(nanos).to_rfc3339_opts(SecondsFormat::AutoSi, true),
    }
}

/// `None`: not a time, or one that nanoseconds cannot say. The zero time is `0`.
pub fn parse(text: &str) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    if time.timestamp() == GO_ZERO { Some(0) } else { time.timestamp_nanos_opt() }
}

const GO_ZERO: i64 = -62_135_596_800;

/// For `#[serde(with = "...")]`.
pub mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(nanos: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format(*nanos))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        super::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("\"{text}\" is not a time: write RFC 3339, 2026-01-31T12:00:00Z")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    #[test]
    fn times_go_there_and_back() {
        for text in ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123456789Z", "0001-01-01T00:00:00Z"] {
            let nanos = super::parse(text).unwrap();
            assert_eq!(super::format(nanos), text);
        }
        assert_eq!(super::parse("2026-01-31T14:00:00+02:00"), super::parse("2026-01-31T12:00:00Z"));
        assert_eq!(super::parse("0001-01-01T00:00:00.000Z"), Some(0));
        assert_eq!(super::parse("yesterday"), None);
    }
}
