//! catchment-processors
