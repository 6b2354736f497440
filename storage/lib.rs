//! catchment-storage
