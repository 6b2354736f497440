//! What an item carries about its sampling: of spans the `ot` part of W3C's `tracestate`, of which other parts are kept as they are.

use std::fmt;

const MAX_TEXT: usize = 1024;
const MAX_MEMBERS: usize = 31;
const MAX_KEY: usize = 256;
const MAX_OT: usize = 256;

/// Randomness and threshold are numbers of 56 bits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub randomness: Option<u64>,
    pub threshold: Option<u64>,
    /// Other parts of `ot`, and other vendors', as `key:value` and `key=value`.
    ot: Vec<String>,
    others: Vec<String>,
}

/// It is not what the specification says.
#[derive(Debug, PartialEq)]
pub struct Unreadable;

impl State {
    /// From attributes of a log record.
    pub fn of(threshold: Option<&str>, randomness: Option<&str>) -> Result<State, Unreadable> {
        let (threshold, randomness) =
            (threshold.map(read_threshold).transpose()?, randomness.map(read_randomness).transpose()?);
        Ok(State { randomness, threshold, ..State::default() })
    }

    pub fn parse(text: &str) -> Result<State, Unreadable> {
        let mut state = State::default();
        if text.len() > MAX_TEXT {
            return Err(Unreadable);
        }
        for (index, member) in text.split(',').map(|member| member.trim_matches([' ', '\t'])).enumerate() {
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=').ok_or(Unreadable)?;
            if index >= MAX_MEMBERS || !is_key(key) || !is_value(value) {
                return Err(Unreadable);
            }
            match key {
                "ot" => state.read_ot(value)?,
                _ => state.others.push(member.to_owned()),
            }
        }
        Ok(state)
    }

    fn read_ot(&mut self, text: &str) -> Result<(), Unreadable> {
        if text.len() > MAX_OT {
            return Err(Unreadable);
        }
        for member in text.split(';') {
            let (key, value) = member.split_once(':').ok_or(Unreadable)?;
            let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            let values = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if !key.starts_with(|c: char| c.is_ascii_lowercase())
                || !key.chars().all(letters)
                || !value.chars().all(values)
            {
                return Err(Unreadable);
            }
            match key {
                "rv" => self.randomness = Some(read_randomness(value)?),
                "th" => self.threshold = Some(read_threshold(value)?),
                _ => self.ot.push(member.to_owned()),
            }
        }
        Ok(())
    }

    /// Without the zeros at its end.
    pub fn threshold_text(&self) -> Option<String> {
        let digits = format!("{:014x}", self.threshold?);
        Some(match digits.trim_end_matches('0') {
            "" => "0".to_owned(),
            digits => digits.to_owned(),
        })
    }

    pub fn randomness_text(&self) -> Option<String> {
        self.randomness.map(|randomness| format!("{randomness:014x}"))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = [("rv", self.randomness_text()), ("th", self.threshold_text())];
        let own = own.into_iter().filter_map(|(key, text)| text.map(|text| format!("{key}:{text}")));
        let ot = own.chain(self.ot.iter().cloned()).collect::<Vec<_>>().join(";");
        let ot = (!ot.is_empty()).then(|| format!("ot={ot}"));
        f.write_str(&ot.into_iter().chain(self.others.iter().cloned()).collect::<Vec<_>>().join(","))
    }
}

fn read_hex(text: &str) -> Result<u64, Unreadable> {
    match text.chars().all(|digit| digit.is_ascii_hexdigit()) {
        true => u64::from_str_radix(text, 16).map_err(|_| Unreadable),
        false => Err(Unreadable),
    }
}

fn read_randomness(text: &str) -> Result<u64, Unreadable> {
    if text.len() != 14 {
        return Err(Unreadable);
    }
    read_hex(text)
}

fn read_threshold(text: &str) -> Result<u64, Unreadable> {
    if text.is_empty() || text.len() > 14 {
        return Err(Unreadable);
    }
    Ok(read_hex(text)? << (4 * (14 - text.len())))
}

fn is_key(key: &str) -> bool {
    let rest = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(&byte))
    };
    let letter = |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase());
    let letter_or_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    key.len() <= MAX_KEY
        && match key.split_once('@') {
            None => letter(key) && rest(key),
            Some((tenant, system)) => {
                letter_or_digit(tenant)
                    && rest(tenant)
                    && tenant.len() <= 241
                    && letter(system)
                    && rest(system)
                    && system.len() <= 14
            }
        }
}

fn is_value(value: &str) -> bool {
    let printable = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=';
    (1..=256).contains(&value.len()) && value.bytes().all(printable) && !value.ends_with(' ')
}
