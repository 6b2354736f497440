//! The HTTP server: SQL, metrics, series, pipeline status, health; the page's API.
