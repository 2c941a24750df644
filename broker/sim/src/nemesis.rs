//! Who makes trouble: what to do next, within what the scenario allows.

use crate::random::Random;
use crate::scenario::Faults;

/// Something that goes wrong, or right again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Kill a broker's process; start it again after this time.
    Kill(i32, u64),
    /// Cut a broker's power; start it again after this time.
    PowerLoss(i32, u64),
    /// Cut everybody's power.
    PowerLossOfAll(u64),
    /// Let a broker stand still for this time.
    Pause(i32, u64),
    /// Cut the way from one broker to another for this time; the way back too, if so.
    Cut(i32, i32, bool, u64),
    /// Cut a broker off from all others for this time; clients still reach it.
    Isolate(i32, u64),
    /// A bad network for this time.
    Storm(u64),
    /// Slow syncs on a broker for this time.
    SlowDisk(i32, u64),
    /// Ask a broker to stop, and start it again after this time.
    Restart(i32, u64),
}

/// Draws the next action.
pub fn draw(random: &mut Random, faults: &Faults, brokers: i32) -> Option<Action> {
    let broker =
        |random: &mut Random| 1 + i32::try_from(random.below(brokers.unsigned_abs().into())).unwrap_or(0);
    let mut possible: Vec<u8> = Vec::new();
    let allowed = [
        (faults.kill, 0),
        (faults.power_loss, 1),
        (faults.power_loss, 2),
        (faults.pause, 3),
        (faults.cut, 4),
        (faults.cut, 5),
        (faults.rough_network, 6),
        (faults.slow_disk, 7),
        (faults.restart, 8),
    ];
    possible.extend(allowed.iter().filter(|(allowed, _)| *allowed).map(|(_, kind)| kind));
    let kind = *random.pick(&possible)?;
    let who = broker(random);
    let down = random.within(50_000..4_000_000);
    Some(match kind {
        0 => Action::Kill(who, down),
        1 => Action::PowerLoss(who, down),
        2 => Action::PowerLossOfAll(down),
        3 => Action::Pause(who, random.within(100_000..8_000_000)),
        4 => Action::Cut(who, broker(random), random.chance_ppm(500_000), down),
        5 => Action::Isolate(who, random.within(100_000..6_000_000)),
        6 => Action::Storm(down),
        7 => Action::SlowDisk(who, down),
        _ => Action::Restart(who, down),
    })
}
