//! Line and column, from 1 and counted in characters as the tokenizer does, to bytes and back.

/// Byte offsets of places that come in order; past the end of the text is its length.
pub(super) fn offsets(text: &str, places: impl Iterator<Item = (u64, u64)>) -> Vec<usize> {
    let mut chars = text.char_indices();
    let mut at = (1, 1);
    let mut offset = 0;
    let mut found = Vec::new();
    for place in places {
        while at < place {
            let Some((start, c)) = chars.next() else {
                offset = text.len();
                break;
            };
            offset = start + c.len_utf8();
            at = if c == '\n' { (at.0 + 1, 1) } else { (at.0, at.1 + 1) };
        }
        found.push(offset);
    }
    found
}

pub(super) fn position(text: &str, offset: usize) -> (u64, u64) {
    let before = text.char_indices().take_while(|(start, _)| *start < offset);
    before.fold((1, 1), |(line, column), (_, c)| if c == '\n' { (line + 1, 1) } else { (line, column + 1) })
}
