//! Compression of OTLP requests, in the Collector's names.

use std::io::Write;

use catchment_pipeline::component::Encoding;
use catchment_pipeline::config::Section;

/// What gRPC knows of the list.
pub(crate) const GRPC: [Encoding; 3] = [Encoding::Gzip, Encoding::Zstd, Encoding::Snappy];

/// How requests are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compress {
    /// `None`: not at all.
    pub(crate) with: Option<Encoding>,
    /// `None`: the quickest that is worth while.
    pub(crate) level: Option<i32>,
}

impl Compress {
    /// Reads `compression` and `compression_params`.
    pub(crate) fn read(section: &mut Section, known: &[Encoding]) -> Compress {
        let choices = known.iter().map(|encoding| (encoding.name(), Some(*encoding)));
        let choices = [("none", None), ("", None)].into_iter().chain(choices).collect::<Vec<_>>();
        let with = section.choice("compression", &choices).unwrap_or(Some(Encoding::Gzip));
        let mut level = None;
        if let Some(mut params) = section.section("compression_params") {
            level = params.get::<i64>("level").and_then(|level| i32::try_from(level).ok());
            let range = match with {
                Some(Encoding::Zstd) => 1..=22,
                _ => -1..=9,
            };
            if let Some(wrong) = level.filter(|level| !range.contains(level)) {
                let mend = format!("use {} to {}", range.start(), range.end());
                params.mistake("level", format!("{wrong} is not a level of this compression"), mend);
            }
        }
        // As in the Collector: -1 asks for the default.
        Compress { with, level: level.filter(|level| *level >= 0) }
    }

    /// Appends `bytes`, compressed, to `out`.
    pub(crate) fn append(self, bytes: &[u8], mut out: Vec<u8>) -> std::io::Result<Vec<u8>> {
        let level = flate2::Compression::new(self.level.and_then(|level| u32::try_from(level).ok()).unwrap_or(1));
        let Some(encoding) = self.with else {
            out.extend_from_slice(bytes);
            return Ok(out);
        };
        match encoding {
            Encoding::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(out, level);
                encoder.write_all(bytes)?;
                return encoder.finish();
            }
            // HTTP's "deflate" is zlib's format.
            Encoding::Zlib | Encoding::Deflate => {
                let mut encoder = flate2::write::ZlibEncoder::new(out, level);
                encoder.write_all(bytes)?;
                return encoder.finish();
            }
            Encoding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, self.level.unwrap_or(1))?;
                encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
                encoder.write_all(bytes)?;
                return encoder.finish();
            }
            Encoding::Snappy => out.extend(snap::raw::Encoder::new().compress_vec(bytes)?),
            Encoding::SnappyFramed => {
                let mut encoder = snap::write::FrameEncoder::new(out);
                encoder.write_all(bytes)?;
                return encoder.into_inner().map_err(|error| error.into_error());
            }
            Encoding::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(out);
                encoder.write_all(bytes)?;
                return encoder.finish().map_err(std::io::Error::from);
            }
        }
        Ok(out)
    }
}
