//! Texts with Go's template syntax, as Prometheus' rule files have them in labels and annotations: `{{ $labels.host }} is at {{ $value | humanize }}`.
//!
//! An evaluator of our own: what there is in Rust is not maintained, and bounds neither time nor output. Here a text is read once; expanding it never
//! panics, takes at most [`STEPS`] steps and gives at most [`OUTPUT`] bytes. `$labels`, `$value`, `$externalLabels`, `$externalURL` and the
//! fields of `.`; `if`, `range`, `with`, variables, pipes, Go's functions and those of Prometheus but for what asks it (`query` and
//! what works on its answers) and `safeHtml`. `define` and `template` are refused.

mod eval;
mod format;
mod functions;
mod parse;
#[cfg(test)]
mod tests;

use catchment_pipeline::alerts::Labels;

use parse::Node;

/// Bytes of a text as written.
pub const SOURCE: usize = 64 << 10;
/// Bytes of a text when expanded.
pub const OUTPUT: usize = 32 << 10;
pub const STEPS: usize = 20_000;
/// Of parentheses, and of blocks.
const DEPTH: usize = 32;

#[derive(Clone, Debug)]
pub struct Text {
    source: String,
    /// Empty: the source as it is.
    nodes: Vec<Node>,
}

/// What a text may say.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub labels: &'a Labels,
    /// `None`: NaN.
    pub value: Option<f64>,
    /// The time of the evaluation, in nanoseconds.
    pub at: i64,
    pub external_labels: &'a Labels,
    pub external_url: &'a str,
}

impl Text {
    pub fn parse(source: &str) -> Result<Text, String> {
        if source.len() > SOURCE {
            return Err(format!("the template has more than {SOURCE} bytes"));
        }
        let nodes = if source.contains("{{") { parse::parse(source)? } else { Vec::new() };
        Ok(Text { source: source.to_owned(), nodes })
    }

    /// What went wrong stands in the text, as in Prometheus: an alert is not lost for its words.
    pub fn expand(&self, facts: &Facts<'_>) -> String {
        if self.nodes.is_empty() {
            return self.source.clone();
        }
        eval::expand(&self.nodes, facts).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    }

    pub fn source(&self) -> String {
        self.source.clone()
    }
}
