//! How files are laid out: every choice that costs or saves bytes, in one place. `docs/decisions/0004-lake-layout.md` has the figures.

use arrow::datatypes::{DataType, Field};
use parquet::basic::Encoding;

use crate::schema::LakeTable;

/// Of one file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Rows of a row group, at most.
    pub row_group: usize,
    /// Rows of a page, at most, in columns by whose ranges pages are left out.
    pub page: usize,
    /// Rows of a page, at most, of other columns of metrics, and of their times: all series of a sender have the same times,
    /// which a compressor sees within a page only.
    pub long_page: usize,
    /// Bytes of a page of numbers, before they are compressed; times are cut by rows only.
    pub numbers: usize,
    pub zstd: i32,
}

impl Shape {
    /// What a flush writes: soon merged, so that time counts for more than size.
    pub const FRESH: Shape =
        Shape { row_group: 262_144, page: 20_000, long_page: 131_072, numbers: 128 << 10, zstd: 3 };
    /// What stays.
    pub const MERGED: Shape = Shape { row_group: 1_048_576, long_page: 1_048_576, zstd: 9, ..Shape::FRESH };

    /// Rows of a page, at most, where nothing smaller is said.
    pub(crate) fn page_of(&self, table: LakeTable) -> usize {
        match table {
            LakeTable::Rows(table) if !table.is_metric() => self.page,
            _ => self.long_page,
        }
    }

    /// Bytes of a page, at most, of a column of numbers.
    pub(crate) fn bytes_of(&self, field: &Field) -> usize {
        if field.name() == "ts" { usize::MAX } else { self.numbers }
    }
}

/// How a column's values are written where they do not come in runs; `None`: with a dictionary, as long as that pays.
///
/// Doubles as they are: zstd finds what repeats, and a dictionary of values that mostly differ is a second copy of them. Ids come in runs,
/// and when a counter began is the same all along a series.
pub(crate) fn encoding(field: &Field) -> Option<Encoding> {
    match field.data_type() {
        DataType::Float64 => Some(Encoding::PLAIN),
        DataType::Int64 if matches!(field.name().as_str(), "series_id" | "resource_id") => None,
        DataType::Timestamp(..) if field.name() == "start_ts" => None,
        DataType::Int64 | DataType::Int32 | DataType::Timestamp(..) => Some(Encoding::DELTA_BINARY_PACKED),
        _ => None,
    }
}

/// Whether pages have ranges of their own. In metrics only what rows are sorted by, times and values do: of the other columns, which
/// say the same all along a series, the ranges of a page take more room than they save time.
pub(crate) fn by_page(table: LakeTable, field: &Field) -> bool {
    let name = field.name().as_str();
    match table {
        LakeTable::Rows(table) if !table.is_metric() => true,
        _ => table.sort_columns().contains(&name) || matches!(name, "value_int" | "value_double"),
    }
}
