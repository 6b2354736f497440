//! Text that fits: cut to a destination's limits, and escaped for its markup. A cut never falls within a character or an escape.

use std::borrow::Cow;

const CUT: char = '…';

/// How a destination writes one character.
pub(crate) type Escape = fn(char, &mut String);

pub(crate) fn plain(c: char, out: &mut String) {
    out.push(c);
}

/// Slack's: three characters begin its markup.
pub(crate) fn mrkdwn(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        _ => out.push(c),
    }
}

pub(crate) fn html(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        _ => mrkdwn(c, out),
    }
}

/// Discord's, within a line; what counts at its beginning only is [`lines`]' affair.
pub(crate) fn markdown(c: char, out: &mut String) {
    if matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '[' | ']') {
        out.push('\\');
    }
    out.push(c);
}

/// Length as the strictest destinations count: in units of UTF-16.
pub(crate) fn length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// On one line: breaks and control characters are blanks.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    let odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    match text.contains(odd) {
        true => Cow::Owned(text.replace(odd, " ")),
        false => Cow::Borrowed(text),
    }
}

/// Without control characters other than line breaks and tabs.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match text.contains(odd) {
        true => Cow::Owned(text.replace("\r\n", "\n").replace(odd, " ")),
        false => Cow::Borrowed(text),
    }
}

/// `text` as the destination writes it, in at most `limit` units, with `…` where it was cut.
pub(crate) fn fit(text: &str, limit: usize, escape: Escape) -> String {
    let mut out = String::new();
    let mut used = 0;
    // Where to go back to when it turns out that not all fits.
    let mut with_room = 0;
    let mut piece = String::new();
    for c in text.chars() {
        piece.clear();
        escape(c, &mut piece);
        used += length(&piece);
        if used > limit {
            out.truncate(with_room);
            if limit > 0 {
                out.push(CUT);
            }
            return out;
        }
        out.push_str(&piece);
        if used < limit {
            with_room = out.len();
        }
    }
    out
}

/// As [`fit`], and what is left is never blank, which destinations refuse.
pub(crate) fn fit_or(text: &str, limit: usize, escape: Escape, otherwise: &str) -> String {
    let fitted = fit(text.trim(), limit, escape);
    if fitted.trim().is_empty() { otherwise.to_owned() } else { fitted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cuts() {
        assert_eq!(fit("abc", 3, plain), "abc");
        assert_eq!(fit("abcd", 3, plain), "ab…");
        assert_eq!(fit("a&b", 7, mrkdwn), "a&amp;b");
        assert_eq!(fit("a&b", 6, mrkdwn), "a…");
        assert_eq!(fit("a&", 6, mrkdwn), "a&amp;");
        assert_eq!(fit("😀😀", 3, plain), "😀…");
        assert_eq!(fit("ab", 0, plain), "");
        assert_eq!(fit_or(" \u{a0} ", 9, plain, "-"), "-");
        assert_eq!(fit("x_y", 9, markdown), "x\\_y");
        assert_eq!(line("a\r\nb\0"), "a  b ");
    }

    proptest! {
        #[test]
        fn what_is_cut_fits_and_unescapes_to_a_beginning(text in ".{0,40}", limit in 0usize..60) {
            let fitted = fit(&text, limit, html);
            prop_assert!(length(&fitted) <= limit);
            let kept = fitted.strip_suffix(CUT).filter(|_| fitted.len() < text.len() + 40).unwrap_or(&fitted);
            let back = kept.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
            prop_assert!(text.starts_with(&back), "{:?} of {:?}", back, text);
        }
    }
}
