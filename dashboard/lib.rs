//! The HTTP server: the live page and what it asks, SQL, metrics, series, pipeline status, health.
//!
//! It reads the lake and the engine's status and changes neither. Everything is bounded: connections, headers' and
//! bodies' size and time, concurrent and waiting queries, a query's time, memory and rows. `openapi.json` documents
//! every path; a test holds it against real answers.

mod alertmanager;
mod assets;
mod boards;
mod catalog;
mod data;
mod format;
mod guard;
pub mod health_check;
mod http_server;
mod live;
mod problem;
mod query;
mod settings;
mod status;
mod turns;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::routing::{get, post};
use catchment_pipeline::alerts::Desk;
use catchment_pipeline::component::tls::Reloading;
use catchment_pipeline::engine::status::Snapshot;
use http::StatusCode;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

pub use data::{Data, Newest, Rows, Select};
pub use http_server::{HttpServer, Limits};
pub use problem::Problem;
pub use settings::{KIND, SUMMARY, Settings};

/// What the server reads.
#[derive(Clone)]
pub struct Sources {
    pub status: Arc<dyn Fn() -> Snapshot + Send + Sync>,
    /// `None`: the instance keeps no lake, and every question about it is answered with 503.
    pub lake: Option<Arc<dyn Data>>,
    /// Where `alerting` connectors answer; with none on it, every question about alerts is answered with 404.
    pub alerts: Arc<Desk>,
}

pub(crate) struct App {
    settings: Settings,
    rules: guard::Rules,
    turns: turns::Turns,
    sources: Sources,
    live: Option<Arc<live::Hub>>,
    boards: Arc<boards::Boards>,
    places: alertmanager::Places,
    /// When it began to serve; nanoseconds.
    since: i64,
}

impl App {
    fn lake(&self) -> Result<&dyn Data, Problem> {
        self.sources.lake.as_deref().ok_or_else(no_lake)
    }

    fn hub(&self) -> Result<&Arc<live::Hub>, Problem> {
        self.live.as_ref().ok_or_else(no_lake)
    }
}

fn no_lake() -> Problem {
    Problem::unavailable("this instance keeps no lake: configure the `lake` extension")
}

/// What a server needs beside a socket, read and checked: boards, certificates.
#[derive(Clone)]
pub struct Prepared {
    settings: Settings,
    boards: Arc<boards::Boards>,
    tls: Option<Arc<Reloading<ServerConfig>>>,
}

impl Prepared {
    /// What is wrong with boards or certificates is an error.
    pub async fn read(settings: Settings) -> anyhow::Result<Prepared> {
        let folder = settings.boards.clone();
        let boards = tokio::task::spawn_blocking(move || boards::Boards::load(folder.as_deref())).await??;
        let tls = settings.tls.as_ref().map(|tls| tls.build(&["h2", "http/1.1"])).transpose().context("tls")?;
        Ok(Prepared { settings, boards: Arc::new(boards), tls: tls.map(Arc::new) })
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// The server, bound; [`Dashboard::run`] serves.
pub struct Dashboard {
    server: HttpServer,
    prepared: Prepared,
    sources: Sources,
}

impl Dashboard {
    pub async fn bind(settings: Settings, sources: Sources) -> anyhow::Result<Dashboard> {
        let prepared = Prepared::read(settings).await?;
        Ok(Dashboard::on(HttpServer::bind(&prepared.settings.endpoint).await?, prepared, sources))
    }

    /// On a socket that was bound beforehand.
    pub fn on(server: HttpServer, prepared: Prepared, sources: Sources) -> Dashboard {
        Dashboard { server: server.with_tls(prepared.tls.clone()), prepared, sources }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Until `shutdown`; answers under way are finished first.
    pub async fn run(self, shutdown: CancellationToken) {
        let Dashboard { server, prepared: Prepared { settings, boards, .. }, sources } = self;
        let limits =
            Limits { max_connections: settings.max_connections, read_header_timeout: settings.read_header_timeout };
        let turns =
            turns::Turns::new(settings.max_concurrent_queries, settings.max_queued_queries, settings.queue_timeout);
        let live = live::Hub::new(&settings, &sources, &shutdown);
        let rules = guard::Rules::new(&settings);
        let app = App {
            settings,
            rules,
            turns,
            sources,
            live: live.clone(),
            boards,
            places: alertmanager::Places::default(),
            since: alertmanager::now(),
        };
        server.run(router(app), limits, shutdown).await;
        if let Some(live) = live {
            live.stop().await;
        }
    }
}

fn router(app: App) -> Router {
    let app = Arc::new(app);
    Router::new()
        .route("/", get(assets::page))
        .route("/boards/{id}", get(assets::page))
        .route("/explore", get(assets::page))
        .route("/logs", get(assets::page))
        .route("/traces", get(assets::page))
        .route("/traces/{id}", get(assets::page))
        .route("/alerts", get(assets::page))
        .route("/pipelines", get(assets::page))
        .route("/assets/{name}", get(assets::asset))
        .route("/healthz", get(status::healthz))
        .route("/readyz", get(status::readyz))
        .route("/api/v1/query", post(query::query))
        .route("/api/v1/metrics", get(catalog::metrics))
        .route("/api/v1/series", get(catalog::series))
        .route("/api/v1/labels", get(catalog::labels))
        .route("/api/v1/label/{name}/values", get(catalog::label_values))
        .route("/api/v1/live", get(live::live))
        .route("/api/v1/boards", get(boards::list))
        .route("/api/v1/boards/{id}", get(boards::one))
        .route("/api/v1/pipeline", get(status::pipeline))
        .route("/api/v1/lake", get(status::lake))
        .route("/api/v1/openapi.json", get(status::openapi))
        .merge(alertmanager::routes())
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
