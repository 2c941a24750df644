//! `ottla cluster brokers`, `can-restart`, `permit`, `cordon`, `uncordon` and `unregister`.

use crate::args::{ConnectArgs, OutputArgs};
use crate::output::{self, Table};
use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use ottla_client::{Admin, AskPermit, BrokerStatus, ClusterStatus, Permit, Reasons, SingleReplica};
use serde_json::json;
use std::time::{Duration, Instant};

/// Between two questions for a permit that was refused.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// What to do about partitions whose only replica is on the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SingleReplicaArg {
    /// They are away as long as the broker is.
    Allow,
    /// The broker may not stop.
    Refuse,
    /// They move to other brokers before it may.
    MoveAway,
}

impl From<SingleReplicaArg> for SingleReplica {
    fn from(rule: SingleReplicaArg) -> Self {
        match rule {
            SingleReplicaArg::Allow => SingleReplica::Allow,
            SingleReplicaArg::Refuse => SingleReplica::Refuse,
            SingleReplicaArg::MoveAway => SingleReplica::MoveAway,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct CanRestartArgs {
    /// Id of the broker.
    #[arg(value_name = "BROKER")]
    broker: i32,
    /// What to do about partitions whose only replica is there [default: what the brokers are set to].
    #[arg(long, value_enum, value_name = "RULE")]
    single_replica: Option<SingleReplicaArg>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum PermitCommand {
    /// Ask for the permit, or hold on to it for longer. Exits with 1 if it is refused.
    Ask {
        /// Id of the broker that is to restart.
        #[arg(value_name = "BROKER")]
        broker: i32,
        /// The registration that is meant (see `ottla cluster brokers`); any if left out.
        #[arg(long, value_name = "EPOCH")]
        epoch: Option<i64>,
        /// Seconds the permit holds unless the broker is back before.
        #[arg(long = "for", default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..=86_400))]
        seconds: i64,
        /// Seconds to wait for it while it is refused.
        #[arg(long, default_value_t = 0, value_name = "SECONDS")]
        wait: u64,
        /// Take it although partitions or the quorum suffer. Never overrides another broker's permit.
        #[arg(long)]
        force: bool,
        /// What to do about partitions whose only replica is there [default: what the brokers are set to].
        #[arg(long, value_enum, value_name = "RULE")]
        single_replica: Option<SingleReplicaArg>,
        /// Why, for others who look.
        #[arg(long, default_value = "ottla cluster permit", value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Let every broker stop at once, before the whole cluster is stopped: none waits for another any more.
    All {
        /// Seconds the permits hold.
        #[arg(long = "for", default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..=86_400))]
        seconds: i64,
        /// Why, for others who look.
        #[arg(long, default_value = "ottla cluster permit all", value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Give the permit back: the broker does not restart after all.
    Release {
        /// Id of the broker that holds it.
        #[arg(value_name = "BROKER")]
        broker: i32,
        /// Which permit (see `ottla cluster brokers`).
        #[arg(value_name = "EPOCH")]
        epoch: i64,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// `ottla cluster brokers`
pub(super) async fn brokers(admin: &Admin, output: &OutputArgs) -> anyhow::Result<()> {
    let status = admin.cluster_status().await?;
    if output.is_json() {
        return Ok(output::json(&serde_json::to_value(&status)?)?);
    }
    let headings =
        ["BROKER", "STATE", "VERSION", "RACK", "EPOCH", "VOTER", "REPLICAS", "IN SYNC", "LEADERS", "PERMIT"];
    let mut table = Table::new(&headings);
    for broker in &status.brokers {
        table.row(vec![
            broker.id.to_string(),
            state(broker, status.controller),
            if broker.version.is_empty() { "-".to_owned() } else { broker.version.clone() },
            broker.rack.clone().unwrap_or_else(|| "-".to_owned()),
            broker.epoch.to_string(),
            if broker.voter { "yes" } else { "no" }.to_owned(),
            broker.replicas.to_string(),
            broker.in_sync.to_string(),
            broker.leaders.to_string(),
            permit_of(broker),
        ]);
    }
    table.print()?;
    footnotes(&status)
}

fn state(broker: &BrokerStatus, controller: i32) -> String {
    let mut words = vec![match (broker.fenced, broker.stopping) {
        (true, _) => "fenced",
        (false, true) => "stopping",
        (false, false) => "active",
    }];
    words.extend(broker.cordoned.then_some("cordoned"));
    words.extend((broker.id == controller).then_some("controller"));
    words.join(",")
}

fn permit_of(broker: &BrokerStatus) -> String {
    broker.permit.as_ref().map_or("-".to_owned(), |permit| {
        let forced = if permit.forced { ", FORCED" } else { "" };
        format!("{} for {} s{forced} ({})", permit.epoch, permit.expires_in_ms / 1000, permit.reason)
    })
}

fn footnotes(status: &ClusterStatus) -> anyhow::Result<()> {
    let counts = status.partitions;
    output::line("")?;
    output::line(&format!(
        "{}: {} offline, {} under-replicated, {} below min.insync.replicas, {} moving",
        output::count(counts.total, "partition"),
        counts.offline,
        counts.under_replicated,
        counts.under_min_isr,
        counts.reassigning
    ))?;
    if !status.unregistered_holders.is_empty() {
        let ids = output::ids(&status.unregistered_holders);
        output::line(&format!("brokers {ids} hold replicas and are not registered"))?;
    }
    Ok(())
}

/// `ottla cluster can-restart`
pub(super) async fn can_restart(args: CanRestartArgs) -> anyhow::Result<()> {
    let admin = Admin::new(args.connect.connect().await?);
    let ask = AskPermit {
        broker: args.broker,
        broker_epoch: None,
        duration_ms: 1,
        force: false,
        dry_run: true,
        reason: String::new(),
        single_replica: args.single_replica.map(Into::into),
    };
    let permit = admin.ask_permit(ask).await?;
    let refused = show(args.broker, &permit, &args.output)?;
    if refused > 0 {
        bail!("broker {} may not restart now: {}", args.broker, output::count(refused, "reason"));
    }
    Ok(())
}

/// `ottla cluster permit`
pub(super) async fn permit(command: PermitCommand) -> anyhow::Result<()> {
    match command {
        PermitCommand::All { seconds, reason, connect } => {
            Admin::new(connect.connect().await?).permit_all(seconds * 1000, &reason).await?;
            Ok(output::line(&format!("every broker may stop within the next {seconds} s"))?)
        }
        PermitCommand::Release { broker, epoch, connect } => {
            Admin::new(connect.connect().await?).release_permit(broker, epoch).await?;
            Ok(output::line(&format!("permit {epoch} of broker {broker} is given back"))?)
        }
        PermitCommand::Ask {
            broker,
            epoch,
            seconds,
            wait,
            force,
            single_replica,
            reason,
            output,
            connect,
        } => {
            let ask = AskPermit {
                broker,
                broker_epoch: epoch,
                duration_ms: seconds * 1000,
                force,
                dry_run: false,
                reason,
                single_replica: single_replica.map(Into::into),
            };
            let admin = Admin::new(connect.connect().await?);
            let permit = ask_until(&admin, ask, Duration::from_secs(wait)).await?;
            match show(broker, &permit, &output)? {
                0 => Ok(()),
                refused => bail!("broker {broker} gets no permit: {}", output::count(refused, "reason")),
            }
        }
    }
}

async fn ask_until(admin: &Admin, ask: AskPermit, wait: Duration) -> anyhow::Result<Permit> {
    let deadline = Instant::now() + wait;
    let mut told = false;
    loop {
        let permit = admin.ask_permit(ask.clone()).await?;
        let Permit::Refused(reasons) = &permit else { return Ok(permit) };
        if Instant::now() >= deadline {
            return Ok(permit);
        }
        if !told && let Some(first) = reasons.named.first() {
            eprintln!("waiting: {}", first.message);
            told = true;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// Prints an answer; returns how many reasons there are against it.
fn show(broker: i32, permit: &Permit, output: &OutputArgs) -> anyhow::Result<usize> {
    let refused = match permit {
        Permit::Refused(reasons) => reasons.total,
        _ => 0,
    };
    if output.is_json() {
        output::json(&json!({"broker": broker, "may_restart": refused == 0, "answer": permit}))?;
        return Ok(refused);
    }
    match permit {
        Permit::Granted { epoch: 0, .. } => output::line(&format!("broker {broker} may restart"))?,
        Permit::Granted { epoch, expires_in_ms, overridden } => {
            if overridden.total > 0 {
                eprintln!("FORCED over {}:", output::count(overridden.total, "reason"));
                reasons(overridden)?;
            }
            output::line(&format!("broker {broker} has permit {epoch} for {} s", expires_in_ms / 1000))?;
        }
        Permit::Held { epoch, expires_in_ms } => {
            output::line(&format!("broker {broker} holds permit {epoch} for {} s", expires_in_ms / 1000))?;
        }
        Permit::NotNeeded {} => {
            output::line(&format!("broker {broker} holds nothing and does not vote: it needs no permit"))?;
        }
        Permit::Refused(why) => reasons(why)?,
    }
    Ok(refused)
}

fn reasons(reasons: &Reasons) -> anyhow::Result<()> {
    for reason in &reasons.named {
        output::line(&format!("  {}", reason.message))?;
    }
    let more = reasons.total.saturating_sub(reasons.named.len());
    if more > 0 {
        output::line(&format!("  and {more} more"))?;
    }
    Ok(())
}

/// `ottla cluster cordon` and `uncordon`
pub(super) async fn cordon(brokers: &[i32], cordoned: bool, connect: &ConnectArgs) -> anyhow::Result<()> {
    let admin = Admin::new(connect.connect().await?);
    for &broker in brokers {
        admin.cordon(broker, cordoned).await?;
        let what = if cordoned { "gets no new replicas" } else { "gets new replicas again" };
        output::line(&format!("broker {broker} {what}"))?;
    }
    Ok(())
}

/// `ottla cluster unregister`
pub(super) async fn unregister(broker: i32, force: bool, connect: &ConnectArgs) -> anyhow::Result<()> {
    let admin = Admin::new(connect.connect().await?);
    if force {
        eprintln!("FORCED: whatever is on broker {broker} is given up");
        admin.unregister_whatever_is_on_it(broker).await?;
    } else {
        admin.unregister(broker).await?;
    }
    Ok(output::line(&format!("broker {broker} is not part of the cluster any more"))?)
}
