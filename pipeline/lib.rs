//! catchment-pipeline
