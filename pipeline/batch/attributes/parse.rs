//! Reading attribute text.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Attributes, Invalid, Value};

pub(super) fn unescape_key(key: &str) -> &str {
    if key.starts_with("$$") { &key[1..] } else { key }
}

/// One value, containers unread.
pub(crate) enum Token<'a> {
    Empty,
    String(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
    /// Read its entries with [`Parser::object`].
    Object,
    /// Read its items with [`Parser::array`].
    Array,
}

/// Reads canonical attribute text, and any JSON with white space besides.
pub(crate) struct Parser<'a> {
    text: &'a str,
    pub(super) at: usize,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Self {
        Parser { text, at: 0 }
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, Invalid> {
        Err(Invalid { at: self.at, what })
    }

    /// Where it is, in bytes.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What was read since `start`.
    pub fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// The next byte that is not white space.
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    pub fn eat(&mut self, token: &str) -> bool {
        self.peek();
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Past `token`, which must be next.
    pub fn open(&mut self, token: &'static str) -> Result<(), Invalid> {
        if self.eat(token) { Ok(()) } else { self.fail("not what JSON has here") }
    }

    pub fn end(&mut self) -> Result<(), Invalid> {
        if self.peek().is_none() { Ok(()) } else { self.fail("something follows the value") }
    }

    /// The next value; of an object or array only the kind.
    pub fn token(&mut self) -> Result<Token<'a>, Invalid> {
        match self.peek() {
            Some(b'"') => Ok(Token::String(self.string()?)),
            Some(b'[') => Ok(Token::Array),
            Some(b'{') => self.special(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.eat("true") => Ok(Token::Bool(true)),
            _ if self.eat("false") => Ok(Token::Bool(false)),
            _ if self.eat("null") => Ok(Token::Empty),
            _ => self.fail("not a value"),
        }
    }

    /// At `{`: an object with one `$` key stands for a value that JSON lacks.
    fn special(&mut self) -> Result<Token<'a>, Invalid> {
        let start = self.at;
        self.at += 1;
        let bytes = self.text.as_bytes();
        if self.peek() != Some(b'"') || bytes.get(self.at + 1) != Some(&b'$') || bytes.get(self.at + 2) == Some(&b'$') {
            self.at = start;
            return Ok(Token::Object);
        }
        let key = self.string()?;
        self.open(":")?;
        let token = match &*key {
            "$empty" if self.eat("true") => Token::Empty,
            "$bytes" => match BASE64.decode(self.string()?.as_bytes()) {
                Ok(bytes) => Token::Bytes(bytes),
                Err(_) => return self.fail("not base64"),
            },
            "$double" => Token::Double(match &*self.string()? {
                "NaN" => f64::NAN,
                "Infinity" => f64::INFINITY,
                "-Infinity" => f64::NEG_INFINITY,
                _ => return self.fail("a double that is not a number is NaN, Infinity or -Infinity"),
            }),
            _ => return self.fail("an unknown key that begins with `$`; write a real one with `$$`"),
        };
        self.open("}")?;
        Ok(token)
    }

    fn number(&mut self) -> Result<Token<'a>, Invalid> {
        let number = self.number_text()?;
        let token = if number.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) {
            number.parse().ok().filter(|double: &f64| double.is_finite()).map(Token::Double)
        } else {
            number.parse().ok().map(Token::Int)
        };
        token.ok_or(Invalid { at: self.at - number.len(), what: "not a 64-bit integer or double" })
    }

    /// A number as JSON has it, not yet read as one.
    pub fn number_text(&mut self) -> Result<&'a str, Invalid> {
        let rest = &self.text[self.at..];
        let bytes = rest.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut at = usize::from(bytes.first() == Some(&b'-'));
        let whole = digits(at);
        let mut good = whole == 1 || (whole > 1 && bytes[at] != b'0');
        at += whole;
        if bytes.get(at) == Some(&b'.') {
            let fraction = digits(at + 1);
            good &= fraction > 0;
            at += 1 + fraction;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let exponent = digits(at);
            good &= exponent > 0;
            at += exponent;
        }
        if !good {
            return self.fail("not a number");
        }
        self.at += at;
        Ok(&rest[..at])
    }

    pub fn string(&mut self) -> Result<Cow<'a, str>, Invalid> {
        self.open("\"")?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        match memchr::memchr2(b'"', b'\\', &bytes[start..]) {
            Some(len) if bytes[start + len] == b'"' => {
                self.at = start + len + 1;
                Ok(Cow::Borrowed(&self.text[start..start + len]))
            }
            Some(_) => self.escaped_string().map(Cow::Owned),
            None => self.fail("a string without an end"),
        }
    }

    fn escaped_string(&mut self) -> Result<String, Invalid> {
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(plain) = memchr::memchr2(b'"', b'\\', rest.as_bytes()) else {
                return self.fail("a string without an end");
            };
            out.push_str(&rest[..plain]);
            self.at += plain + 1;
            if rest.as_bytes()[plain] == b'"' {
                return Ok(out);
            }
            let escape = self.text.as_bytes().get(self.at).copied();
            self.at += 1;
            out.push(match escape {
                Some(b'n') => '\n',
                Some(b'r') => '\r',
                Some(b't') => '\t',
                Some(b'b') => '\u{8}',
                Some(b'f') => '\u{c}',
                Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
                Some(b'u') => self.escaped_char()?,
                _ => {
                    self.at -= 1;
                    return self.fail("an unknown escape");
                }
            });
        }
    }

    fn hex4(&mut self) -> Result<u32, Invalid> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(unit) => {
                self.at += 4;
                Ok(unit)
            }
            None => self.fail("\\u wants four hexadecimal digits"),
        }
    }

    fn escaped_char(&mut self) -> Result<char, Invalid> {
        let mut code = self.hex4()?;
        if (0xd800..0xdc00).contains(&code) && self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            match self.hex4()? {
                low @ 0xdc00..0xe000 => code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00),
                _ => return self.fail("half of a surrogate pair"),
            }
        }
        match char::from_u32(code) {
            Some(c) => Ok(c),
            None => self.fail("half of a surrogate pair"),
        }
    }

    /// The entries of the object here; `entry` reads one value, and is given the key as written.
    pub fn object(
        &mut self,
        mut entry: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Invalid>,
    ) -> Result<(), Invalid> {
        self.open("{")?;
        if self.eat("}") {
            return Ok(());
        }
        loop {
            self.peek();
            let key = self.string()?;
            self.open(":")?;
            self.peek();
            entry(self, key)?;
            if !self.eat(",") {
                return self.open("}");
            }
        }
    }

    /// As [`Parser::object`], with each key unescaped.
    pub fn map(&mut self, mut entry: impl FnMut(&mut Self, &str) -> Result<(), Invalid>) -> Result<(), Invalid> {
        self.object(|parser, key| entry(parser, unescape_key(&key)))
    }

    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Invalid>) -> Result<(), Invalid> {
        self.open("[")?;
        if self.eat("]") {
            return Ok(());
        }
        loop {
            item(self)?;
            if !self.eat(",") {
                return self.open("]");
            }
        }
    }

    /// One level down, or an error when that is too deep.
    pub fn deeper(&self, depth: u32) -> Result<u32, Invalid> {
        depth.checked_sub(1).ok_or(Invalid { at: self.at, what: "nested too deep" })
    }

    pub fn skip_value(&mut self, depth: u32) -> Result<(), Invalid> {
        let depth = self.deeper(depth)?;
        match self.token()? {
            Token::Object => self.object(|parser, _| parser.skip_value(depth)),
            Token::Array => self.array(|parser| parser.skip_value(depth)),
            _ => Ok(()),
        }
    }

    pub fn owned_value(&mut self, depth: u32) -> Result<Value, Invalid> {
        let depth = self.deeper(depth)?;
        Ok(match self.token()? {
            Token::Empty => Value::Empty,
            Token::String(string) => Value::String(string.into_owned()),
            Token::Bool(bool) => Value::Bool(bool),
            Token::Int(int) => Value::Int(int),
            Token::Double(double) => Value::Double(double),
            Token::Bytes(bytes) => Value::Bytes(bytes),
            Token::Array => {
                let mut list = Vec::new();
                self.array(|parser| {
                    list.push(parser.owned_value(depth)?);
                    Ok(())
                })?;
                Value::List(list)
            }
            Token::Object => {
                let mut map = Vec::new();
                self.map(|parser, key| {
                    map.push((key.to_owned(), parser.owned_value(depth)?));
                    Ok(())
                })?;
                Value::Map(Attributes(map))
            }
        })
    }
}
