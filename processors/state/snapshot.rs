//! State as bytes: a tag and a version, varints and plain arrays, and a checksum over all of it at the end.

use anyhow::{Context as _, bail, ensure};
use xxhash_rust::xxh3::xxh3_64;

/// Appends to a buffer; [`Writer::finish`] must come last.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    /// `settings` is what the state means something under: another text reads as another state.
    pub fn new(out: &'a mut Vec<u8>, tag: &str, version: u8, settings: &str) -> Writer<'a> {
        let start = out.len();
        let mut writer = Writer { out, start };
        writer.text(tag);
        writer.out.push(version);
        writer.text(settings);
        writer
    }

    pub fn u64(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    pub fn i64(&mut self, value: i64) {
        self.u64(((value << 1) ^ (value >> 63)) as u64);
    }

    pub fn len(&mut self, len: usize) {
        self.u64(len as u64);
    }

    pub fn bool(&mut self, value: bool) {
        self.out.push(u8::from(value));
    }

    pub fn f64(&mut self, value: f64) {
        self.fixed(value.to_bits());
    }

    pub fn maybe_f64(&mut self, value: Option<f64>) {
        self.bool(value.is_some());
        value.into_iter().for_each(|value| self.f64(value));
    }

    /// Eight bytes: for what is as good as random.
    pub fn fixed(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub fn finish(self) {
        let sum = xxh3_64(&self.out[self.start..]);
        self.out.extend_from_slice(&sum.to_le_bytes());
    }
}

pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(state: &'a [u8], tag: &str, version: u8, settings: &str) -> anyhow::Result<Reader<'a>> {
        let (left, sum) = state.split_last_chunk::<8>().context("the state is cut off")?;
        ensure!(u64::from_le_bytes(*sum) == xxh3_64(left), "the state is damaged");
        let mut reader = Reader { left };
        ensure!(reader.text()? == tag, "the state is another component's");
        let found = reader.byte()?;
        ensure!(found == version, "the state has version {found}, and this program reads version {version}");
        ensure!(reader.text()? == settings, "the settings are others than those the state was kept under");
        Ok(reader)
    }

    fn byte(&mut self) -> anyhow::Result<u8> {
        let (byte, left) = self.left.split_first().context("the state ends too early")?;
        self.left = left;
        Ok(*byte)
    }

    pub fn u64(&mut self) -> anyhow::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        bail!("the state has a number of more than 64 bits")
    }

    pub fn i64(&mut self) -> anyhow::Result<i64> {
        let value = self.u64()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub fn u32(&mut self) -> anyhow::Result<u32> {
        u32::try_from(self.u64()?).context("the state has a number that is too large")
    }

    pub fn i32(&mut self) -> anyhow::Result<i32> {
        i32::try_from(self.i64()?).context("the state has a number that is too large")
    }

    /// How many of something that takes a byte each at the least.
    pub fn len(&mut self) -> anyhow::Result<usize> {
        let len = usize::try_from(self.u64()?)?;
        ensure!(len <= self.left.len(), "the state ends too early");
        Ok(len)
    }

    pub fn bool(&mut self) -> anyhow::Result<bool> {
        Ok(self.byte()? != 0)
    }

    pub fn f64(&mut self) -> anyhow::Result<f64> {
        Ok(f64::from_bits(self.fixed()?))
    }

    pub fn maybe_f64(&mut self) -> anyhow::Result<Option<f64>> {
        if self.bool()? { self.f64().map(Some) } else { Ok(None) }
    }

    pub fn fixed(&mut self) -> anyhow::Result<u64> {
        let (bytes, left) = self.left.split_first_chunk::<8>().context("the state ends too early")?;
        self.left = left;
        Ok(u64::from_le_bytes(*bytes))
    }

    pub fn bytes(&mut self) -> anyhow::Result<&'a [u8]> {
        let len = self.len()?;
        let (bytes, left) = self.left.split_at(len);
        self.left = left;
        Ok(bytes)
    }

    pub fn text(&mut self) -> anyhow::Result<&'a str> {
        Ok(std::str::from_utf8(self.bytes()?)?)
    }

    pub fn end(self) -> anyhow::Result<()> {
        ensure!(self.left.is_empty(), "the state goes on where it should end");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let mut state = vec![7];
        let mut out = Writer::new(&mut state, "tag", 3, "by: x");
        out.u64(u64::MAX);
        out.i64(i64::MIN);
        out.maybe_f64(Some(-0.5));
        out.maybe_f64(None);
        out.text("é");
        out.finish();
        let state = &state[1..];
        let read = |state: &[u8]| -> anyhow::Result<_> {
            let mut reader = Reader::new(state, "tag", 3, "by: x")?;
            let found =
                (reader.u64()?, reader.i64()?, reader.maybe_f64()?, reader.maybe_f64()?, reader.text()?.to_owned());
            reader.end()?;
            Ok(found)
        };
        assert_eq!(read(state).unwrap(), (u64::MAX, i64::MIN, Some(-0.5), None, "é".to_owned()));
        for cut in 0..state.len() {
            assert!(read(&state[..cut]).is_err());
        }
        for at in 0..state.len() {
            let mut damaged = state.to_vec();
            damaged[at] ^= 1;
            assert!(read(&damaged).is_err(), "byte {at}");
        }
        for (tag, version, settings, says) in
            [("other", 3, "by: x", "another component"), ("tag", 4, "by: x", "version 3"), ("tag", 3, "", "settings")]
        {
            let error = Reader::new(state, tag, version, settings).err().unwrap().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
