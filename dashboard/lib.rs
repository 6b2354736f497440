//! The HTTP server: SQL, metrics, series, pipeline status, health, and a page that shows what runs and where.
//!
//! It reads the lake and the engine's status and changes neither. Everything is bounded: connections, headers' and
//! bodies' size and time, concurrent and waiting queries, a query's time, memory and rows. `openapi.json` documents
//! every path; a test holds it against real answers.

mod catalog;
mod data;
mod format;
mod guard;
pub mod health_check;
mod http_server;
mod page;
mod problem;
mod query;
mod settings;
mod status;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use catchment_pipeline::engine::status::Snapshot;
use http::StatusCode;
use tokio_util::sync::CancellationToken;

pub use data::{Data, Limits as QueryLimits, Rows};
pub use http_server::{HttpServer, Limits};
pub use problem::Problem;
pub use settings::{KIND, SUMMARY, Settings};

/// What the server reads.
#[derive(Clone)]
pub struct Sources {
    pub status: Arc<dyn Fn() -> Snapshot + Send + Sync>,
    /// `None`: the instance keeps no lake, and every question about it is answered with 503.
    pub lake: Option<Arc<dyn Data>>,
}

pub(crate) struct App {
    settings: Settings,
    rules: guard::Rules,
    turns: query::Turns,
    sources: Sources,
}

impl App {
    fn lake(&self) -> Result<&dyn Data, Problem> {
        let none = || Problem::unavailable("this instance keeps no lake: configure the `lake` extension");
        self.sources.lake.as_deref().ok_or_else(none)
    }
}

/// The server, bound; [`Dashboard::run`] serves.
pub struct Dashboard {
    server: HttpServer,
    settings: Settings,
    sources: Sources,
}

impl Dashboard {
    pub async fn bind(settings: Settings, sources: Sources) -> anyhow::Result<Dashboard> {
        Ok(Dashboard::on(HttpServer::bind(&settings.endpoint).await?, settings, sources))
    }

    /// On a socket that was bound beforehand.
    pub fn on(server: HttpServer, settings: Settings, sources: Sources) -> Dashboard {
        Dashboard { server, settings, sources }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Until `shutdown`; answers under way are finished first.
    pub async fn run(self, shutdown: CancellationToken) {
        let limits = Limits {
            max_connections: self.settings.max_connections,
            read_header_timeout: self.settings.read_header_timeout,
        };
        self.server.run(router(self.settings, self.sources), limits, shutdown).await;
    }
}

fn router(settings: Settings, sources: Sources) -> Router {
    let turns = query::Turns::new(settings.max_concurrent_queries, settings.max_queued_queries, settings.queue_timeout);
    let app = Arc::new(App { rules: guard::Rules::new(&settings), turns, settings, sources });
    Router::new()
        .route("/", get(page::page))
        .route("/live", get(page::live))
        .route("/assets/page.css", get(page::css))
        .route("/assets/page.js", get(page::js))
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .route("/api/v1/query", post(query::query))
        .route("/api/v1/metrics", get(catalog::metrics))
        .route("/api/v1/series", get(catalog::series))
        .route("/api/v1/labels", get(catalog::labels))
        .route("/api/v1/label/{name}/values", get(catalog::label_values))
        .route("/api/v1/pipeline", get(status::pipeline))
        .route("/api/v1/lake", get(status::lake))
        .route("/api/v1/openapi.json", get(status::openapi))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "see /api/v1/openapi.json for the methods",
            )
        })
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "see /api/v1/openapi.json for the paths"))
        .layer(axum::middleware::from_fn_with_state(app.clone(), guard::guard))
        .with_state(app)
}

#[cfg(test)]
mod tests;
