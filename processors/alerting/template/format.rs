//! Numbers and values as Go prints them.

use std::iter::Peekable;
use std::str::Chars;

use super::eval::Value;

/// Digits and spaces that one directive may ask for.
const WIDEST: usize = 256;

/// `%v`.
pub fn show(value: &Value) -> String {
    match value {
        Value::Nil => "<no value>".to_owned(),
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Float(float) => shortest(*float, 6),
        Value::Text(text) => text.clone(),
        Value::Map(map) => {
            let pairs: Vec<String> = map.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            format!("map[{}]", pairs.join(" "))
        }
        Value::List(list) => format!("[{}]", list.iter().map(show).collect::<Vec<_>>().join(" ")),
        Value::Facts => "{}".to_owned(),
    }
}

fn special(number: f64) -> Option<String> {
    match number {
        number if number.is_nan() => Some("NaN".to_owned()),
        f64::INFINITY => Some("+Inf".to_owned()),
        f64::NEG_INFINITY => Some("-Inf".to_owned()),
        _ => None,
    }
}

/// As few digits as tell the number; with an exponent from 10^`large` on, and below 10^-4.
pub fn shortest(number: f64, large: i32) -> String {
    if let Some(special) = special(number) {
        return special;
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = exponent.parse().unwrap_or_default();
    if number != 0.0 && !(-4..large).contains(&power) { with_exponent(digits, power) } else { format!("{number}") }
}

fn with_exponent(digits: &str, power: i32) -> String {
    format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
}

/// `%.{precision}e`.
fn exponent(number: f64, precision: usize) -> String {
    let scientific = format!("{number:.precision$e}");
    let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    with_exponent(digits, power.parse().unwrap_or_default())
}

/// `%.{precision}g`.
pub fn general(number: f64, precision: usize) -> String {
    if let Some(special) = special(number) {
        return special;
    }
    let precision = precision.clamp(1, WIDEST);
    // Rounded first: that may raise the exponent.
    let scientific = format!("{number:.*e}", precision - 1);
    let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = power.parse().unwrap_or_default();
    let short = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if power < -4 || power >= precision as i32 {
        return with_exponent(&short(digits), power);
    }
    let decimals = usize::try_from(precision as i32 - 1 - power).unwrap_or_default();
    short(&format!("{number:.decimals$}"))
}

#[derive(Clone, Copy, Default)]
struct Directive {
    left: bool,
    plus: bool,
    zeros: bool,
    space: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// At most [`WIDEST`]; no digits: zero.
fn number(chars: &mut Peekable<Chars<'_>>) -> usize {
    let mut number = 0;
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        number = (number * 10 + digit.to_digit(10).unwrap_or_default() as usize).min(WIDEST);
    }
    number
}

/// Go's `Sprintf`. What does not fit stands in the text as Go puts it.
pub fn printf(format: &str, arguments: &[Value]) -> String {
    let (mut out, mut arguments) = (String::new(), arguments.iter());
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut directive = Directive::default();
        while let Some(flag) = chars.next_if(|c| "-+0 #".contains(*c)) {
            match flag {
                '-' => directive.left = true,
                '+' => directive.plus = true,
                '0' => directive.zeros = true,
                '#' => directive.sharp = true,
                _ => directive.space = true,
            }
        }
        directive.width = number(&mut chars);
        if chars.next_if_eq(&'.').is_some() {
            directive.precision = Some(number(&mut chars));
        }
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match arguments.next() {
                None => out.push_str(&format!("%!{verb}(MISSING)")),
                Some(argument) => out.push_str(&directive.write(verb, argument)),
            },
        }
    }
    let extra: Vec<String> = arguments.map(|value| format!("{}={}", kind(value), show(value))).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Text(_) => "string",
        Value::Map(_) | Value::Facts => "map[string]string",
        Value::List(_) => "[]interface {}",
    }
}

impl Directive {
    fn write(self, verb: char, value: &Value) -> String {
        let text = match (verb, value) {
            ('v', Value::Float(number)) => match self.precision {
                Some(precision) => general(*number, precision),
                None => shortest(*number, 6),
            },
            ('v', Value::Text(text)) if self.sharp => format!("{text:?}"),
            ('s' | 'v', Value::Text(text)) => match self.precision {
                Some(precision) => text.chars().take(precision).collect(),
                None => text.clone(),
            },
            ('v', other) => show(other),
            ('d', Value::Int(int)) => int.to_string(),
            ('x', Value::Int(int)) => format!("{int:x}"),
            ('X', Value::Int(int)) => format!("{int:X}"),
            ('o', Value::Int(int)) => format!("{int:o}"),
            ('b', Value::Int(int)) => format!("{int:b}"),
            ('c', Value::Int(int)) => {
                u32::try_from(*int).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER).to_string()
            }
            ('q', Value::Text(text)) => format!("{text:?}"),
            ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            ('t', Value::Bool(bool)) => bool.to_string(),
            ('T', other) => kind(other).to_owned(),
            ('f' | 'F' | 'e' | 'E' | 'g' | 'G', Value::Float(number)) => self.float(verb, *number),
            (verb, other) => return format!("%!{verb}({}={})", kind(other), show(other)),
        };
        let is_number = matches!(value, Value::Int(_) | Value::Float(_));
        self.pad(if is_number { self.sign(text) } else { text }, is_number)
    }

    fn float(self, verb: char, number: f64) -> String {
        let text = match verb {
            _ if !number.is_finite() => special(number).unwrap_or_default(),
            'f' | 'F' => format!("{number:.*}", self.precision.unwrap_or(6)),
            'e' | 'E' => exponent(number, self.precision.unwrap_or(6)),
            _ => match self.precision {
                Some(precision) => general(number, precision),
                None => shortest(number, 6),
            },
        };
        if verb.is_uppercase() { text.to_uppercase() } else { text }
    }

    fn sign(self, text: String) -> String {
        // Infinity says its sign only when asked, but in %v.
        match text.strip_prefix('+') {
            Some(_) => text,
            None if text.starts_with('-') => text,
            None if self.plus => format!("+{text}"),
            None if self.space => format!(" {text}"),
            None => text,
        }
    }

    fn pad(self, text: String, is_number: bool) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if self.left {
            return text + &" ".repeat(missing);
        }
        if self.zeros && is_number && !text.ends_with("Inf") && !text.ends_with("NaN") {
            let digits = text.trim_start_matches(['+', '-', ' ']);
            let sign = &text[..text.len() - digits.len()];
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        " ".repeat(missing) + &text
    }
}
