//! catchment-dashboard
