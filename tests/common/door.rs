//! A receiver that gives its outlet to the test and waits.

use async_trait::async_trait;
use catchment_pipeline::component::{Context, Outlet, Receiver, ReceiverPlan};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub struct Door(pub mpsc::UnboundedSender<Outlet>);

#[async_trait]
impl ReceiverPlan for Door {
    async fn build(&self, _: Context) -> anyhow::Result<Box<dyn Receiver>> {
        Ok(Box::new(Door(self.0.clone())))
    }
}

#[async_trait]
impl Receiver for Door {
    async fn run(self: Box<Self>, outlet: Outlet, shutdown: CancellationToken) -> anyhow::Result<()> {
        let _ = self.0.send(outlet);
        shutdown.cancelled().await;
        Ok(())
    }
}
