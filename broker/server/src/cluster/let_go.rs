//! Whether this broker may stop without asking anybody: the whole cluster stops, and no controller is left to say so.

use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Until when this broker may stop without a permit.
#[derive(Debug)]
pub struct LetGo {
    until: watch::Sender<Option<Instant>>,
}

impl Default for LetGo {
    fn default() -> Self {
        Self { until: watch::Sender::new(None) }
    }
}

impl LetGo {
    /// It may stop for so long from now on.
    pub fn hold_for(&self, time: Duration) {
        self.until.send_replace(Instant::now().checked_add(time));
    }

    /// Returns as soon as it may stop.
    pub async fn granted(&self) {
        let mut until = self.until.subscribe();
        let is_granted = |until: &Option<Instant>| until.is_some_and(|until| Instant::now() < until);
        if until.wait_for(is_granted).await.is_err() {
            // The sender is this.
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn may_go(let_go: &LetGo) -> bool {
        tokio::time::timeout(Duration::ZERO, let_go.granted()).await.is_ok()
    }

    #[tokio::test]
    async fn it_may_go_from_when_it_is_told_until_the_time_is_over() {
        let let_go = LetGo::default();
        assert!(!may_go(&let_go).await);
        let told = async { let_go.hold_for(Duration::from_secs(60)) };
        tokio::join!(let_go.granted(), told);
        assert!(may_go(&let_go).await);
        let_go.hold_for(Duration::ZERO);
        assert!(!may_go(&let_go).await);
    }
}
