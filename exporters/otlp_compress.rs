//! Compression of OTLP requests, in the Collector's names.

use std::io::Write;

use catchment_pipeline::config::Section;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
    Zlib,
    Deflate,
    Snappy,
    SnappyFramed,
    Lz4,
}

/// How requests are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compress {
    pub(crate) with: Compression,
    /// `None`: the quickest that is worth while.
    pub(crate) level: Option<i32>,
}

impl Compression {
    const ALL: [(&'static str, Compression); 8] = [
        ("none", Compression::None),
        ("gzip", Compression::Gzip),
        ("zstd", Compression::Zstd),
        ("zlib", Compression::Zlib),
        ("deflate", Compression::Deflate),
        ("snappy", Compression::Snappy),
        ("x-snappy-framed", Compression::SnappyFramed),
        ("lz4", Compression::Lz4),
    ];
    pub(crate) const GRPC: &'static [Compression] =
        &[Compression::None, Compression::Gzip, Compression::Zstd, Compression::Snappy];
    pub(crate) const HTTP: &'static [Compression] = &[
        Compression::None,
        Compression::Gzip,
        Compression::Zstd,
        Compression::Zlib,
        Compression::Deflate,
        Compression::Snappy,
        Compression::SnappyFramed,
        Compression::Lz4,
    ];

    /// For a header; `None` when nothing is compressed.
    pub(crate) fn name(self) -> Option<&'static str> {
        let named = Compression::ALL.iter().find(|(_, compression)| *compression == self);
        named.map(|(name, _)| *name).filter(|_| self != Compression::None)
    }
}

impl Compress {
    /// Reads `compression` and `compression_params`.
    pub(crate) fn read(section: &mut Section, known: &[Compression]) -> Compress {
        let choices = Compression::ALL.iter().filter(|(_, with)| known.contains(with)).copied();
        let choices = choices.chain([("", Compression::None)]).collect::<Vec<_>>();
        let with = section.choice("compression", &choices).unwrap_or(Compression::Gzip);
        let mut level = None;
        if let Some(mut params) = section.section("compression_params") {
            level = params.get::<i64>("level").and_then(|level| i32::try_from(level).ok());
            let range = match with {
                Compression::Zstd => 1..=22,
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
        match self.with {
            Compression::None => out.extend_from_slice(bytes),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(out, level);
                encoder.write_all(bytes)?;
                return encoder.finish();
            }
            // HTTP's "deflate" is zlib's format.
            Compression::Zlib | Compression::Deflate => {
                let mut encoder = flate2::write::ZlibEncoder::new(out, level);
                encoder.write_all(bytes)?;
                return encoder.finish();
            }
            Compression::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, self.level.unwrap_or(1))?;
                encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
                encoder.write_all(bytes)?;
                return encoder.finish();
            }
            Compression::Snappy => out.extend(snap::raw::Encoder::new().compress_vec(bytes)?),
            Compression::SnappyFramed => {
                let mut encoder = snap::write::FrameEncoder::new(out);
                encoder.write_all(bytes)?;
                return encoder.into_inner().map_err(|error| error.into_error());
            }
            Compression::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(out);
                encoder.write_all(bytes)?;
                return encoder.finish().map_err(std::io::Error::from);
            }
        }
        Ok(out)
    }
}
