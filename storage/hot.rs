//! Rows in memory and the list of files, changed together under one lock: a snapshot never misses or doubles a row.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use catchment_pipeline::log::Position;

use crate::changes::{Changes, Span};
use crate::files::FileEntry;
use crate::schema::TABLES;

/// Neighbouring chunks are joined up to this many rows, so that many small appends stay few chunks.
const CHUNK_ROWS: usize = 16_384;
/// So many at once.
const JOINED: usize = 16;
/// And up to this many bytes: a column of strings has 2 GiB at most.
const CHUNK_BYTES: u64 = 64 << 20;

/// Rows in memory with what a query needs to know before it looks at them.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) rows: RecordBatch,
    pub(crate) span: Span,
    pub(crate) bytes: u64,
}

impl Chunk {
    pub(crate) fn new(rows: RecordBatch, span: Span) -> Chunk {
        let bytes = bytes(&rows);
        Chunk { rows, span, bytes }
    }
}

pub(crate) type Chunks = Vec<Arc<Chunk>>;

/// One table's rows: what is new, what a flush is writing, and what is in files.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableRows {
    pub(crate) hot: Chunks,
    pub(crate) flushing: Chunks,
    pub(crate) files: Arc<Vec<Arc<FileEntry>>>,
}

impl TableRows {
    pub(crate) fn push(&mut self, chunk: Chunk) {
        self.hot.push(Arc::new(chunk));
        // Joining equals, as in a counter of base 16, copies each row a logarithmic number of times.
        while let Some(chunks) = self.hot.len().checked_sub(JOINED).map(|at| &self.hot[at..]) {
            let rows = chunks.iter().map(|chunk| chunk.rows.num_rows());
            let bytes = chunks.iter().map(|chunk| chunk.bytes).sum::<u64>();
            let newest = chunks[JOINED - 1].rows.num_rows();
            if rows.clone().any(|rows| rows > JOINED * newest)
                || rows.sum::<usize>() > CHUNK_ROWS
                || bytes > CHUNK_BYTES
            {
                break;
            }
            // Chunks that cannot be joined stay as they are.
            let batches = chunks.iter().map(|chunk| &chunk.rows);
            let Ok(joined) = concat_batches(&chunks[0].rows.schema(), batches) else { break };
            let Some(span) = chunks.iter().map(|chunk| chunk.span).reduce(Span::and) else { break };
            self.hot.truncate(self.hot.len() - JOINED);
            self.hot.push(Arc::new(Chunk::new(joined, span)));
        }
    }

    /// Rows that are only in memory.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &Arc<Chunk>> {
        self.flushing.iter().chain(&self.hot)
    }

    pub(crate) fn rows(&self) -> u64 {
        self.chunks().map(|chunk| chunk.rows.num_rows() as u64).sum()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.chunks().map(|chunk| chunk.bytes).sum()
    }
}

/// What a chunk takes; buffers shared between chunks count once each time.
pub(crate) fn bytes(chunk: &RecordBatch) -> u64 {
    let column = |column: &dyn Array| match column.as_dictionary_opt::<Int32Type>() {
        Some(dictionary) => {
            let text = dictionary.values().as_string::<i32>().values().len();
            dictionary.keys().len() * 4 + text
        }
        None => column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size()),
    };
    chunk.columns().iter().map(|array| column(array.as_ref()) as u64).sum()
}

#[derive(Debug)]
pub(crate) struct State {
    /// In the order of [`TABLES`].
    pub(crate) tables: Vec<TableRows>,
    pub(crate) appended: Position,
    /// All tables; kept here because appending asks each time.
    pub(crate) hot_bytes: u64,
    pub(crate) changes: Changes,
}

impl State {
    pub(crate) fn new(files: impl IntoIterator<Item = Vec<Arc<FileEntry>>>, position: Position) -> State {
        let tables = files.into_iter().map(|files| TableRows { files: Arc::new(files), ..TableRows::default() });
        let tables = tables.collect::<Vec<_>>();
        debug_assert_eq!(tables.len(), TABLES.len());
        State { tables, appended: position, hot_bytes: 0, changes: Changes::new(position) }
    }

    /// Everything hot is being flushed from here on; an earlier flush that failed is taken along.
    pub(crate) fn start_flush(&mut self) -> (Position, Vec<Chunks>) {
        for table in &mut self.tables {
            table.flushing.append(&mut table.hot);
        }
        (self.appended, self.tables.iter().map(|table| table.flushing.clone()).collect())
    }

    /// What was being flushed is in these files now.
    pub(crate) fn end_flush(&mut self, files: Vec<Vec<Arc<FileEntry>>>) {
        for (table, files) in self.tables.iter_mut().zip(files) {
            table.flushing.clear();
            table.files = Arc::new(files);
        }
        self.hot_bytes = self.tables.iter().map(TableRows::bytes).sum();
    }
}
