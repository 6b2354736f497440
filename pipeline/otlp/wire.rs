//! The protobuf wire format: a reader over borrowed bytes and a writer that works backwards.

/// Where (the address of the byte, which [`Fault::offset`] turns into an offset) and why reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    at: usize,
    pub what: &'static str,
}

impl Fault {
    #[cold]
    pub fn new(rest: &[u8], what: &'static str) -> Fault {
        Fault { at: rest.as_ptr() as usize, what }
    }

    /// The offset of the fault in `bytes`, the slice that everything was read from.
    pub fn offset(&self, bytes: &[u8]) -> usize {
        self.at.saturating_sub(bytes.as_ptr() as usize).min(bytes.len())
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for Fault {}

/// A field's value as the wire has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Len(&'a [u8]),
    Fixed32(u32),
    /// A start-group tag; what follows is unread ([`Reader::skip`]).
    Group,
}

pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Where the field that was read last begins.
    start: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes, start: bytes }
    }

    /// From the field just read on: where a fault about it is.
    pub fn start(&self) -> &'a [u8] {
        self.start
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Passes over the field just read, whose value may have been the start of a group.
    #[inline(always)]
    pub fn skip(&mut self, number: u32, value: Value<'_>, depth: u32) -> Result<(), Fault> {
        match value {
            Value::Group => self.skip_group(number, depth),
            _ if depth == 0 => Err(Fault::new(self.start, super::TOO_DEEP)),
            _ => Ok(()),
        }
    }

    /// The next field's number and value, or `None` at the end.
    #[inline(always)]
    pub fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Fault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.start = self.rest;
        let (number, wire_type) = self.key()?;
        let value = self.value(wire_type)?;
        Ok(Some((number, value)))
    }

    /// A value without its key, as in a packed list.
    #[inline(always)]
    pub fn value(&mut self, wire_type: u8) -> Result<Value<'a>, Fault> {
        Ok(match wire_type {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.fixed64()?),
            2 => Value::Len(self.len()?),
            3 => Value::Group,
            5 => Value::Fixed32(self.fixed32()?),
            4 => return Err(Fault::new(self.rest, "end of a group that was not begun")),
            _ => return Err(Fault::new(self.rest, "unknown wire type")),
        })
    }

    #[inline(always)]
    fn key(&mut self) -> Result<(u32, u8), Fault> {
        let start = self.rest;
        let key = self.varint()?;
        match u32::try_from(key) {
            Ok(key) if key >= 8 => Ok((key >> 3, (key & 7) as u8)),
            _ => Err(Fault::new(start, "impossible field number")),
        }
    }

    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64, Fault> {
        match self.rest {
            [byte @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            // The length of an item, for one.
            [low, high @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0u64;
        for (i, &byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte has room for one bit.
            if i == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(Fault::new(self.rest, "number cut short or over 64 bits"))
    }

    #[inline(always)]
    fn fixed64(&mut self) -> Result<u64, Fault> {
        match self.rest.split_first_chunk::<8>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(u64::from_le_bytes(*bytes))
            }
            None => Err(Fault::new(self.rest, "cut short")),
        }
    }

    #[inline(always)]
    fn fixed32(&mut self) -> Result<u32, Fault> {
        match self.rest.split_first_chunk::<4>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(u32::from_le_bytes(*bytes))
            }
            None => Err(Fault::new(self.rest, "cut short")),
        }
    }

    #[inline(always)]
    fn len(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.varint()?;
        let split = usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len));
        match split {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(Fault::new(self.rest, "longer than what holds it")),
        }
    }

    /// Reads on to the end of group `number`; groups inside it nest at most `depth` deep.
    fn skip_group(&mut self, number: u32, depth: u32) -> Result<(), Fault> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Fault::new(self.rest, super::TOO_DEEP));
        };
        loop {
            let start = self.rest;
            let (inner, wire_type) = self.key()?;
            if depth == 0 && wire_type != 4 {
                return Err(Fault::new(start, super::TOO_DEEP));
            }
            match wire_type {
                0 => {
                    self.varint()?;
                }
                1 => {
                    self.fixed64()?;
                }
                2 => {
                    self.len()?;
                }
                3 => self.skip_group(inner, depth)?,
                4 if inner == number => return Ok(()),
                4 => return Err(Fault::new(start, "end of another group than the one begun")),
                5 => {
                    self.fixed32()?;
                }
                _ => return Err(Fault::new(start, "unknown wire type")),
            }
        }
    }

    /// Passes over the fields that follow, as long as they have the key of the one just read, a short length, and
    /// content that is `plain`.
    #[inline(always)]
    pub fn skip_neighbours(&mut self, plain: impl Fn(&[u8]) -> bool) {
        // Of a key that takes more than a byte this is not the whole.
        let Some(key) = self.start.first().copied().filter(|key| *key < 0x80) else { return };
        while let Some((content, rest)) = short_field(key, self.rest)
            && plain(content)
        {
            self.rest = rest;
        }
    }

    /// The field just read and its neighbours with the same key, as one slice: how attribute sets are found whole.
    #[inline(always)]
    pub fn run(&mut self) -> &'a [u8] {
        // Keys of one byte only: all attribute fields of OTLP have one.
        let key = self.start.first().copied().unwrap_or_default();
        loop {
            if let Some((_, rest)) = short_field(key, self.rest) {
                self.rest = rest;
                continue;
            }
            let Some((_, after)) = self.rest.split_first().filter(|(first, _)| **first == key) else { break };
            let mut ahead = Reader::new(after);
            if ahead.len().is_err() {
                break;
            }
            self.rest = ahead.rest;
        }
        &self.start[..self.start.len() - self.rest.len()]
    }
}

/// The content of a length-delimited field with this key of one byte, if `bytes` begins with one of less than 16 KiB,
/// and what follows it.
#[inline(always)]
pub(crate) fn short_field(key: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        [first, len @ ..0x80, rest @ ..] if *first == key => rest.split_at_checked(usize::from(*len)),
        [first, low, high @ ..0x80, rest @ ..] if *first == key => {
            rest.split_at_checked(usize::from(low & 0x7f) | usize::from(*high) << 7)
        }
        _ => None,
    }
}

pub(crate) fn zigzag(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a message from its last byte to its first, so that every length is known when it is written and nothing
/// is moved or measured twice. Fields are given in reverse.
pub(crate) struct Writer {
    /// Used from `head` on.
    buffer: Vec<u8>,
    head: usize,
}

impl Writer {
    pub fn with_capacity(capacity: usize) -> Writer {
        let capacity = capacity.max(64);
        Writer { buffer: vec![0; capacity], head: capacity }
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.buffer.drain(..self.head);
        self.buffer
    }

    /// How much is written; two marks around a message give its length.
    #[inline]
    pub fn mark(&self) -> usize {
        self.buffer.len() - self.head
    }

    #[inline(always)]
    pub fn bytes(&mut self, bytes: &[u8]) {
        if self.head < bytes.len() {
            self.grow(bytes.len());
        }
        let start = self.head - bytes.len();
        self.buffer[start..self.head].copy_from_slice(bytes);
        self.head = start;
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let used = self.mark();
        let mut larger = vec![0; (self.buffer.len() * 2).max(used + more)];
        let head = larger.len() - used;
        larger[head..].copy_from_slice(&self.buffer[self.head..]);
        self.buffer = larger;
        self.head = head;
    }

    #[inline(always)]
    pub fn varint(&mut self, mut value: u64) {
        if value < 0x80 {
            return self.bytes(&[value as u8]);
        }
        let mut bytes = [0u8; 10];
        let mut len = 0;
        loop {
            bytes[len] = (value & 0x7f) as u8;
            value >>= 7;
            len += 1;
            if value == 0 {
                break;
            }
            bytes[len - 1] |= 0x80;
        }
        self.bytes(&bytes[..len]);
    }

    #[inline(always)]
    fn key(&mut self, number: u32, wire_type: u32) {
        self.varint(u64::from(number << 3 | wire_type));
    }

    /// A length-delimited field whose content is everything written since `mark`.
    #[inline(always)]
    pub fn close(&mut self, number: u32, mark: usize) {
        self.varint((self.mark() - mark) as u64);
        self.key(number, 2);
    }

    #[inline(always)]
    pub fn len_field(&mut self, number: u32, bytes: &[u8]) {
        self.bytes(bytes);
        self.varint(bytes.len() as u64);
        self.key(number, 2);
    }

    /// A string or bytes field without presence: left out when empty.
    #[inline(always)]
    pub fn string(&mut self, number: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.len_field(number, bytes);
        }
    }

    /// A varint field without presence.
    #[inline(always)]
    pub fn number(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.varint(value);
            self.key(number, 0);
        }
    }

    /// An int32 or enum: negative values are sign-extended to 64 bits, as protobuf has it.
    #[inline(always)]
    pub fn int32(&mut self, number: u32, value: i32) {
        self.number(number, i64::from(value) as u64);
    }

    #[inline(always)]
    pub fn sint32(&mut self, number: u32, value: i32) {
        self.number(number, u64::from(((value << 1) ^ (value >> 31)) as u32));
    }

    #[inline(always)]
    pub fn fixed64_field(&mut self, number: u32, value: u64) {
        self.bytes(&value.to_le_bytes());
        self.key(number, 1);
    }

    /// A fixed64 field without presence.
    #[inline(always)]
    pub fn fixed64(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.fixed64_field(number, value);
        }
    }

    #[inline(always)]
    pub fn fixed32(&mut self, number: u32, value: u32) {
        if value != 0 {
            self.bytes(&value.to_le_bytes());
            self.key(number, 5);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn varints_both_ways() {
        for value in [0, 1, 127, 128, 300, 1 << 31, 1 << 63, u64::MAX] {
            let mut writer = Writer::with_capacity(0);
            writer.varint(value);
            let bytes = writer.finish();
            let mut peer = Vec::new();
            prost::encoding::encode_varint(value, &mut peer);
            assert_eq!(bytes, peer);
            assert_eq!(Reader::new(&bytes).varint(), Ok(value));
        }
        assert!(Reader::new(&[0xff; 10]).varint().is_err());
        assert!(Reader::new(&[0x80]).varint().is_err());
    }

    #[test]
    fn a_run_is_every_neighbour_with_the_same_key() {
        let bytes = [0x3a, 1, 9, 0x3a, 0, 0x08, 1, 0x3a, 0];
        let mut reader = Reader::new(&bytes);
        reader.next().unwrap();
        assert_eq!(reader.run(), &bytes[..5]);
        assert_eq!(reader.next(), Ok(Some((1, Value::Varint(1)))));
    }
}
