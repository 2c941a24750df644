//! Where the configuration says that the other brokers are.

use crate::config::BrokerConfig;
use ottla_types::BrokerId;
use std::collections::BTreeSet;

/// What is configured about peers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// `controller.quorum.voters`: ids and addresses.
    voters: Vec<(BrokerId, String)>,
    /// `controller.quorum.bootstrap.servers`: addresses, or one name for all.
    servers: Vec<String>,
    /// `ottla.founding.brokers`: how many brokers found the cluster; 0: as many as are configured.
    founders: usize,
}

impl Targets {
    /// What `config` says.
    pub fn of(config: &BrokerConfig) -> Self {
        let voters = config.settings.list("controller.quorum.voters").into_iter().filter_map(|voter| {
            let parsed =
                voter.split_once('@').and_then(|(id, at)| Some((id.trim().parse().ok()?, at.trim())));
            if parsed.is_none() {
                tracing::warn!(voter, "not of the form id@host:port, left out of controller.quorum.voters");
            }
            parsed.map(|(id, at): (i32, &str)| (BrokerId(id), at.to_owned()))
        });
        let servers = config.settings.list("controller.quorum.bootstrap.servers");
        Self {
            voters: voters.collect(),
            servers: servers.into_iter().map(str::to_owned).collect(),
            founders: config.settings.count("ottla.founding.brokers") as usize,
        }
    }

    /// True if this broker has no peers.
    pub fn is_empty(&self) -> bool {
        self.voters.is_empty() && self.servers.is_empty()
    }

    /// The addresses whose brokers are known without asking.
    pub fn voters(&self) -> &[(BrokerId, String)] {
        &self.voters
    }

    /// All addresses as they are now.
    pub async fn addresses(&self) -> Vec<String> {
        let mut addresses: BTreeSet<String> = self.voters.iter().map(|(_, at)| at.clone()).collect();
        match self.servers.as_slice() {
            // One name may stand for all of them.
            [name] => match tokio::net::lookup_host(name).await {
                Ok(found) => addresses.extend(found.map(|address| address.to_string())),
                Err(error) => tracing::debug!(name, %error, "the name has no address yet"),
            },
            several => addresses.extend(several.iter().cloned()),
        }
        addresses.into_iter().collect()
    }

    /// How many brokers there are, of whom a majority must agree on who founds the cluster. `addresses` are those
    /// there are now, `doubled` how many of them turned out to be a broker that has another one too.
    pub fn founders(&self, addresses: usize, doubled: usize) -> usize {
        match self.founders {
            0 => addresses.saturating_sub(doubled).max(1),
            founders => founders,
        }
    }
}
