//! What comes back over HTTP, for whoever sends with reqwest.

use catchment_pipeline::component::ExportError;

/// Of an answer.
const LARGEST_ANSWER: usize = 64 << 10;

pub(crate) async fn start_of(mut response: reqwest::Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = LARGEST_ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == LARGEST_ANSWER {
            break;
        }
    }
    Ok(body)
}

/// The connection is at fault: another attempt may succeed. Addresses may hold secrets: they are left out.
pub(crate) fn transport(error: reqwest::Error) -> ExportError {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        reason = format!("{reason}: {error}");
        source = error.source();
    }
    ExportError::Transient { retry_after: None, reason }
}
