//! The lake: tables as Parquet files under a Delta log, hot rows united with them under one version, and SQL over both.
