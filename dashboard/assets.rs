//! The browser app: files that are part of the binary, packed when they were built.
//!
//! Names under `/assets/` have their content's hash in them and are kept by browsers for ever; `index.html`, which names
//! them, is asked for each time and answered with 304 where nothing changed.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::problem::Problem;

struct File {
    /// In `dist`.
    name: &'static str,
    media_type: &'static str,
    /// Quoted.
    tag: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

mod built {
    use super::File;
    include!(concat!(env!("OUT_DIR"), "/assets.rs"));
}

const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Every page of the app: it finds out itself which one.
pub async fn page(headers: HeaderMap) -> Response {
    answer("index.html", &headers, "no-cache")
}

pub async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    answer(&format!("assets/{name}"), &headers, FOR_EVER)
}

fn answer(name: &str, headers: &HeaderMap, caching: &'static str) -> Response {
    let Some(file) = built::FILES.iter().find(|file| file.name == name) else {
        return Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such file; load the page again")
            .into_response();
    };
    let accepted = Accepted::of(headers);
    let (bytes, encoding) = match file {
        File { brotli: Some(packed), .. } if accepted.brotli => (*packed, Some("br")),
        File { gzip: Some(packed), .. } if accepted.gzip => (*packed, Some("gzip")),
        file => (file.plain, None),
    };
    // Of each encoding its own: a strong tag says that the bytes are the same.
    let tag = match encoding {
        Some(encoding) => format!("{}-{encoding}\"", file.tag.trim_end_matches('"')),
        None => file.tag.to_owned(),
    };
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|value| value.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    });
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Bytes::from_static(bytes).into_response(),
    };
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    answer.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        answer.insert(header::ETAG, tag);
    }
    if let Some(encoding) = encoding {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

/// What `Accept-Encoding` allows. Without the header, nothing is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Accepted {
    brotli: bool,
    gzip: bool,
}

impl Accepted {
    fn of(headers: &HeaderMap) -> Accepted {
        let (mut brotli, mut gzip, mut any) = (None, None, false);
        let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        for coding in values.flat_map(|value| value.split(',')) {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
            match name.to_ascii_lowercase().as_str() {
                "br" => brotli = Some(weight > 0.0),
                "gzip" | "x-gzip" => gzip = Some(weight > 0.0),
                "*" => any = weight > 0.0,
                _ => {}
            }
        }
        Accepted { brotli: brotli.unwrap_or(any), gzip: gzip.unwrap_or(any) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn encodings_are_negotiated() {
        let check = |accept: Option<&str>, brotli: bool, gzip: bool| {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
            }
            assert_eq!(Accepted::of(&headers), Accepted { brotli, gzip }, "{accept:?}");
        };
        check(None, false, false);
        check(Some("gzip, deflate, br, zstd"), true, true);
        check(Some("gzip;q=0.5, br;q=0"), false, true);
        check(Some("*"), true, true);
        check(Some("*;q=0.1, br;q=0"), false, true);
        check(Some("identity"), false, false);
        check(Some("BR"), true, false);
    }

    #[test]
    fn what_is_packed_is_what_is_there() {
        use std::io::Read as _;
        for file in built::FILES {
            if let Some(packed) = file.gzip {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(packed).read_to_end(&mut plain).unwrap();
                assert!(plain == file.plain, "{}: rebuild dist", file.name);
            }
            if file.name.starts_with("assets/") {
                assert!(file.name.contains('-'), "{} has no hash", file.name);
            } else {
                assert_eq!(file.name, "index.html", "everything else has a hash");
            }
            if file.plain.len() > 1000
                && matches!(file.media_type, "text/html; charset=utf-8" | "text/javascript; charset=utf-8")
            {
                assert!(file.brotli.is_some() && file.gzip.is_some(), "{} is not packed", file.name);
            }
        }
        // The policy of `guard` allows neither.
        let index = built::FILES.iter().find(|file| file.name == "index.html").unwrap();
        let index = std::str::from_utf8(index.plain).unwrap();
        assert!(!index.contains("<style") && !index.contains("style="), "{index}");
        assert!(index.split("<script").skip(1).all(|script| script.contains("src=")), "{index}");
    }
}
