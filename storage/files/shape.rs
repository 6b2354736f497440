//! How files are laid out: every choice that costs or saves bytes, in one place. `docs/decisions/0004-lake-layout.md` has the figures.

/// Of one file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    /// Rows of a row group, at most.
    pub(crate) row_group: usize,
    pub(crate) zstd: i32,
}

impl Shape {
    /// What a flush writes: soon merged, so that time counts for more than size.
    pub(crate) const FRESH: Shape = Shape { row_group: 262_144, zstd: 3 };
    #[allow(dead_code)] // merging, which comes next, uses it
    /// What stays.
    pub(crate) const MERGED: Shape = Shape { row_group: 1_048_576, zstd: 9 };
}
