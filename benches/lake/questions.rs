//! The questions of a dashboard, in SQL for us and for DuckDB, and in PromQL.

/// Unix seconds.
pub struct Promql {
    pub query: String,
    pub from: i64,
    pub to: i64,
    /// `None`: asked at `to`.
    pub step: Option<i64>,
}

pub struct Question {
    pub name: &'static str,
    pub ours: String,
    pub duckdb: String,
    pub promql: Promql,
}

/// The series that are asked for by host.
pub const HOST: &str = "node-007.eu-west-1.example.internal";

/// Of a lake whose last scrape was before `end` (Unix seconds, a whole minute) and whose first `hours` before.
pub fn questions(end: i64, hours: i64) -> Vec<Question> {
    let range = |hours: i64| format!("ts >= to_timestamp({}) AND ts < to_timestamp({end})", end - hours * 3600);
    let duck = |hours: i64| {
        let time = |seconds: i64| format!("make_timestamptz({seconds}000000)");
        format!("ts >= {} AND ts < {}", time(end - hours * 3600), time(end))
    };
    let (panel, long) = (hours.min(24), hours.min(12));
    let promql = |query: String, hours: i64, step| Promql { query, from: end - hours * 3600, to: end, step };
    vec![
        Question {
            name: "one series, 1 h",
            ours: format!(
                "SELECT ts, value FROM \"system.memory.usage\" WHERE host_name = '{HOST}' AND state = 'used' AND {} ORDER BY ts",
                range(1)
            ),
            duckdb: format!(
                "SELECT ts, value FROM metrics WHERE metric_name = 'system.memory.usage' AND host_name = '{HOST}' AND attributes = '{{\"state\":\"used\"}}' AND {} ORDER BY ts",
                duck(1)
            ),
            promql: promql(format!("system_memory_usage_bytes{{host_name=\"{HOST}\",state=\"used\"}}[1h]"), 1, None),
        },
        Question {
            name: "one metric over all hosts, 1 h, by host",
            ours: format!(
                "SELECT host_name, avg(value) FROM \"system.memory.usage\" WHERE {} GROUP BY host_name",
                range(1)
            ),
            duckdb: format!(
                "SELECT host_name, avg(value) FROM metrics WHERE metric_name = 'system.memory.usage' AND {} GROUP BY host_name",
                duck(1)
            ),
            promql: promql("avg by (host_name) (avg_over_time(system_memory_usage_bytes[1h]))".to_owned(), 1, None),
        },
        Question {
            name: "panel of 200 series, 24 h by 5 m",
            ours: format!(
                "SELECT date_bin(INTERVAL '5 minutes', ts) AS t, host_name, avg(value) FROM \"system.cpu.load_average.1m\" WHERE {} GROUP BY 1, 2",
                range(panel)
            ),
            duckdb: format!(
                "SELECT time_bucket(INTERVAL '5 minutes', ts) AS t, host_name, avg(value) FROM metrics WHERE metric_name = 'system.cpu.load_average.1m' AND {} GROUP BY 1, 2",
                duck(panel)
            ),
            promql: Promql {
                from: end - panel * 3600 + 300,
                ..promql("avg_over_time(system_cpu_load_average_1m[5m])".to_owned(), panel, Some(300))
            },
        },
        Question {
            name: "high cpu, every sample over 12 h",
            ours: format!(
                "SELECT ts, host_name, k8s_pod_name, value FROM \"container.cpu.usage\" WHERE value > 0.5 AND {}",
                range(long)
            ),
            duckdb: format!(
                "SELECT ts, host_name, k8s_pod_name, value FROM metrics WHERE metric_name = 'container.cpu.usage' AND value > 0.5 AND {}",
                duck(long)
            ),
            promql: Promql {
                from: end - long * 3600 + 15,
                ..promql("container_cpu_usage > 0.5".to_owned(), long, Some(15))
            },
        },
        Question {
            name: "last point of every series",
            ours: "SELECT series_id, ts, value FROM latest".to_owned(),
            duckdb: format!(
                "SELECT series_id, max(ts), arg_max(value, ts) FROM metrics WHERE ts >= make_timestamptz({}000000) GROUP BY series_id",
                end - 300
            ),
            promql: promql("{__name__=~\".+\"}".to_owned(), 0, None),
        },
    ]
}
