//! catchment-receivers
