//! catchment-exporters
