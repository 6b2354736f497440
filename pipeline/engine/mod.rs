//! Runs the graph: receivers -> processors -> log -> cursors -> exporters. Names no component.
