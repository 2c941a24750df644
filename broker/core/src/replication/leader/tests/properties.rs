//! Random histories of one leader beside a small model of its followers' logs and of the controller.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Append(i64),
    Flush(i64),
    Fetch(i32, i64),
    Restart(i32),
    Fence(i32, bool),
    Tick(u64),
    Answer(Option<ErrorCode>),
    Metadata { new_epoch: bool, drop: Option<i32> },
}

fn step() -> impl Strategy<Value = Step> {
    let broker = 2..=3i32;
    prop_oneof![
        (1..5i64).prop_map(Step::Append),
        (0..5i64).prop_map(Step::Flush),
        (broker.clone(), 0..8i64).prop_map(|(broker, back)| Step::Fetch(broker, back)),
        (broker.clone(), Just(0i64)).prop_map(|(broker, back)| Step::Fetch(broker, back)),
        broker.clone().prop_map(Step::Restart),
        (broker.clone(), any::<bool>()).prop_map(|(broker, fenced)| Step::Fence(broker, fenced)),
        (1..2 * LAG_MS).prop_map(Step::Tick),
        prop::option::of(prop::sample::select(vec![
            ErrorCode::IneligibleReplica,
            ErrorCode::InvalidUpdateVersion,
            ErrorCode::NotController
        ]))
        .prop_map(Step::Answer),
        (any::<bool>(), prop::option::of(broker))
            .prop_map(|(new_epoch, drop)| Step::Metadata { new_epoch, drop }),
    ]
}

struct World {
    leader: Leader,
    committed: PartitionState,
    brokers: [BrokerStatus; 4],
    ends: [Offset; 4],
    flushed: Offset,
    end: Offset,
    now: u64,
    asked: Option<AlterPartition>,
}

impl World {
    fn new(config: Config) -> Self {
        let committed = state(&[1, 2, 3]);
        Self {
            leader: leader_of(&committed, config),
            committed,
            brokers: [BrokerStatus { epoch: EPOCH, fenced: false, shutting_down: false }; 4],
            ends: [0; 4],
            flushed: 0,
            end: 0,
            now: 0,
            asked: None,
        }
    }

    fn status(&self) -> impl Fn(BrokerId) -> Option<BrokerStatus> + use<> {
        let brokers = self.brokers;
        move |broker| brokers.get(usize::try_from(broker.0).unwrap()).copied()
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Append(count) => {
                self.end += count;
                self.leader.handle_append(self.now, self.end);
            }
            Step::Flush(back) => {
                self.flushed = self.flushed.max(self.end - back);
                self.leader.handle_flushed(self.now, self.flushed);
            }
            Step::Fetch(broker, back) => self.fetch(broker, back),
            Step::Restart(broker) => {
                let index = usize::try_from(broker).unwrap();
                self.brokers[index].epoch = self.brokers[index].epoch.next();
                self.leader.handle_brokers_change(self.now, &self.status());
            }
            Step::Fence(broker, fenced) => {
                self.brokers[usize::try_from(broker).unwrap()].fenced = fenced;
                self.leader.handle_brokers_change(self.now, &self.status());
            }
            Step::Tick(ms) => {
                self.now += ms;
                self.leader.tick(self.now);
            }
            Step::Answer(error) => self.answer(error),
            Step::Metadata { new_epoch, drop } => self.metadata(new_epoch, drop),
        }
    }

    fn fetch(&mut self, broker: i32, back: i64) {
        let index = usize::try_from(broker).unwrap();
        let offset = (self.end - back).max(self.ends[index]);
        let request = FollowerFetch {
            leader_epoch: self.leader.leader_epoch(),
            broker_epoch: self.brokers[index].epoch,
            ..fetch(broker, offset)
        };
        if self.leader.handle_follower_fetch(self.now, request).is_ok() {
            self.ends[index] = offset;
        }
    }

    fn answer(&mut self, error: Option<ErrorCode>) {
        let Some(asked) = self.asked.take() else { return };
        let answer = match error {
            Some(code) => Err(code),
            None if asked.partition_epoch != self.committed.partition_epoch => {
                Err(ErrorCode::InvalidUpdateVersion)
            }
            None => {
                self.committed.partition_epoch = self.committed.partition_epoch.next();
                self.committed.isr = asked.new_isr.iter().map(|member| member.broker).collect();
                Ok(altered(self.committed.partition_epoch.0, &[])).map(|mut altered: Altered| {
                    altered.leader_epoch = self.committed.leader_epoch;
                    altered.isr.clone_from(&self.committed.isr);
                    altered
                })
            }
        };
        self.leader.handle_alter_partition_answer(self.now, asked.proposal, answer);
    }

    fn metadata(&mut self, new_epoch: bool, drop: Option<i32>) {
        self.committed.partition_epoch = self.committed.partition_epoch.next();
        if new_epoch {
            self.committed.leader_epoch = self.committed.leader_epoch.next();
        }
        self.committed.isr.retain(|&member| Some(member.0) != drop);
        let status = self.status();
        self.leader.handle_partition_change(self.now, &self.committed, &status);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_called_committed_that_the_isr_lacks(
        steps in prop::collection::vec(step(), 1..60),
        flush in any::<bool>(),
    ) {
        let config = Config { count_flushed_only: flush, ..config() };
        let mut world = World::new(config);
        for step in steps {
            let before = world.leader.high_watermark();
            world.apply(step.clone());
            let after = world.leader.high_watermark();
            prop_assert!(after >= before, "the high watermark went back");
            if after > before {
                let own = if flush { world.flushed } else { world.end };
                let lowest = world
                    .leader
                    .maximal_isr()
                    .filter(|&member| member != BrokerId(1))
                    .map(|member| world.ends[usize::try_from(member.0).unwrap()])
                    .fold(own, Offset::min);
                prop_assert!(after <= lowest, "{step:?}: {after} is above {lowest}");
                prop_assert!(world.leader.isr().len() >= 2, "it advanced under min.insync.replicas");
            }
            for effect in world.leader.drain_effects() {
                match effect {
                    Effect::AlterPartition(request) => {
                        prop_assert!(request.new_isr.iter().all(|member| (1..=3).contains(&member.broker.0)));
                        prop_assert_eq!(request.new_isr[0].broker, BrokerId(1));
                        world.asked = Some(request);
                    }
                    Effect::HighWatermarkAdvanced(offset) => prop_assert!(offset <= after),
                    Effect::LowWatermarkAdvanced(_) | Effect::TooFewInSync => {}
                }
            }
            prop_assert!(world.leader.isr().iter().all(|member| world.leader.replicas().contains(member)));
        }
    }
}
