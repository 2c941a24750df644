//! Who makes trouble: what to do next, within what the scenario allows.

use crate::random::Random;
use crate::scenario::Faults;
use ottla_types::BrokerId;

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A process is killed; the operating system lives on.
    Kill,
    /// The leader of a partition is killed.
    KillLeader,
    /// The broker in control is killed.
    KillController,
    /// The power of a broker goes: what was not synced is lost.
    PowerLoss,
    /// The power of all goes.
    PowerLossOfAll,
    /// A process stands still for a while.
    Pause,
    /// The way from one broker to another is cut, perhaps also back.
    Cut,
    /// A broker is cut off from all others; clients still reach it.
    Isolate,
    /// What the broker in control sends does not reach the leader of a partition.
    CutFromController,
    /// What the leader of a partition sends does not reach one of its followers.
    CutFromLeader,
    /// A broker gets no metadata: the quorum's messages to it are lost.
    Deafen,
    /// The network delays, loses and repeats.
    RoughNetwork,
    /// Syncs of a broker take long.
    SlowDisk,
    /// Syncs of a broker fail; what was not synced before is lost.
    BreakDisk,
    /// The disk of a broker has no room.
    FullDisk,
    /// A broker comes back with an empty disk.
    Wipe,
    /// The power of a follower goes, and it does not reach its leader when it is back.
    PowerLossAndCut,
    /// The power of a broker goes, and a leader is killed soon after it is back.
    PowerLossAndKill,
    /// A broker comes back with an empty disk, and a leader is killed soon after.
    WipeAndKill,
    /// A broker is stopped and started in an orderly way.
    Restart,
    /// A broker's wall clock is set forward or back.
    StepClock,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// What.
    pub fault: Fault,
    /// To whom, if it is not found out otherwise.
    pub broker: BrokerId,
    /// The other end of a cut; any for other faults.
    pub other: BrokerId,
    /// A cut is in both directions, a clock goes back.
    pub both: bool,
    /// For how long, or how far.
    pub us: u64,
}

/// Draws the next action.
pub fn draw(random: &mut Random, faults: &Faults, brokers: &[BrokerId]) -> Option<Action> {
    let fault = *random.pick(&faults.kinds)?;
    let broker = *random.pick(brokers)?;
    let other = *random.pick(brokers)?;
    let us = match fault {
        Fault::Pause => 100_000..8_000_000,
        Fault::Isolate | Fault::CutFromController | Fault::Deafen => 100_000..6_000_000,
        Fault::StepClock => 1_000..7_200_000_000,
        Fault::PowerLossAndCut | Fault::PowerLossAndKill | Fault::WipeAndKill => 50_000..1_500_000,
        _ => 50_000..4_000_000,
    };
    Some(Action { fault, broker, other, both: random.chance_ppm(500_000), us: random.within(us) })
}
