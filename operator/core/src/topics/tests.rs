use super::*;
use crate::observed::BrokerView;
use crate::topic::FINALIZER;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

fn topic(name: &str, spec: serde_json::Value) -> Topic {
    let mut whole = json!({"clusterRef": {"name": "demo"}, "partitions": 2});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let mut topic = Topic::new(name, serde_json::from_value(whole).unwrap());
    topic.metadata.generation = Some(1);
    topic.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    topic
}

fn known(mut topic: Topic, id: &str, keys: &[&str]) -> Topic {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    topic.status =
        Some(TopicStatus { topic_id: Some(id.to_owned()), config_keys: keys, ..TopicStatus::default() });
    topic
}

/// What the brokers say.
struct World {
    view: BrokersView,
    ids: BTreeMap<String, String>,
    configs: BTreeMap<String, Settings>,
}

impl World {
    fn new() -> Self {
        let broker = |id: i32| {
            let rack = Some(format!("z{id}"));
            (id, BrokerView { is_active: true, is_caught_up: true, rack, ..BrokerView::default() })
        };
        let view = BrokersView { brokers: (0..3).map(broker).collect(), ..BrokersView::default() };
        Self { view, ids: BTreeMap::new(), configs: BTreeMap::new() }
    }

    fn with(mut self, name: &str, id: &str, partitions: i32, replicas: &[i32]) -> Self {
        self.ids.insert(name.to_owned(), id.to_owned());
        self.configs.insert(name.to_owned(), Settings::new());
        for partition in 0..partitions {
            self.view.partitions.push(PartitionView {
                topic: name.to_owned(),
                partition,
                leader: replicas[0],
                replicas: replicas.to_vec(),
                isr: replicas.to_vec(),
                ..PartitionView::default()
            });
        }
        self
    }

    fn configured(mut self, name: &str, settings: &[(&str, &str)]) -> Self {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.configs.insert(name.to_owned(), settings.collect());
        self
    }

    fn plan(&self, topics: &[&Topic]) -> Vec<TopicPlan> {
        let cluster = ClusterState::Up { brokers: &self.view, ids: &self.ids, configs: &self.configs };
        plan(&Observed { resources: topics, cluster })
    }

    fn one(&self, topic: &Topic) -> (Vec<Action>, String, TopicStatus) {
        let plan = self.plan(&[topic]).remove(0);
        (plan.actions, reason(&plan.status), plan.status)
    }
}

fn reason(status: &TopicStatus) -> String {
    status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap().reason.clone()
}

#[test]
fn a_topic_that_is_not_there_is_created_as_it_should_be() {
    let topic =
        topic("orders", json!({"partitions": 6, "replicationFactor": 3, "config": {"retention.ms": "1"}}));
    let (actions, why, status) = World::new().one(&topic);
    let [Action::Create { partitions: 6, replication_factor: Some(3), config, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!((config["retention.ms"].as_str(), why.as_str()), ("1", "Creating"));
    assert_eq!(status.config_keys, ["retention.ms"]);
}

#[test]
fn a_topic_that_is_as_it_should_be_is_ready_and_left_alone() {
    let topic = topic("orders", json!({"replicationFactor": 3}));
    let (actions, why, status) = World::new().with("orders", "A", 2, &[0, 1, 2]).one(&topic);
    assert!(actions.is_empty());
    assert_eq!((why.as_str(), status.topic_id.as_deref()), ("Ready", Some("A")));
    assert_eq!(status.partitions.unwrap().count, 2);
}

#[test]
fn partitions_grow_and_never_shrink() {
    let world = World::new().with("orders", "A", 2, &[0]);
    let (actions, ..) = world.one(&topic("orders", json!({"partitions": 5})));
    assert_eq!(actions, [Action::Grow { count: 5, assignments: None }]);
    let (actions, why, _) = world.one(&topic("orders", json!({"partitions": 1})));
    assert_eq!((actions.len(), why.as_str()), (0, "PartitionsCannotShrink"));
}

#[test]
fn another_replication_factor_moves_replicas_and_is_seen_through() {
    let more = topic("orders", json!({"replicationFactor": 3}));
    let mut world = World::new().with("orders", "A", 2, &[0]);
    let (actions, ..) = world.one(&more);
    let [Action::Move(moves)] = &actions[..] else { panic!("{actions:?}") };
    assert!(moves.len() == 2 && moves.iter().all(|to| to.replicas.len() == 3 && to.replicas[0] == 0));
    for at in &mut world.view.partitions {
        at.replicas = vec![0, 1, 2];
        at.is_moving = true;
    }
    let (actions, why, status) = world.one(&more);
    assert_eq!((actions.len(), why.as_str(), status.partitions.unwrap().moving), (0, "Moving", 2));
    let (actions, why, _) = world.one(&topic("orders", json!({"replicationFactor": 4})));
    assert_eq!((actions.len(), why.as_str()), (0, "Moving"));
    let world = World::new().with("orders", "A", 2, &[0]);
    let (_, why, _) = world.one(&topic("orders", json!({"replicationFactor": 4})));
    assert_eq!(why, "NoPlacement");
}

#[test]
fn adopting_never_takes_settings_away_that_the_resource_does_not_name() {
    let world =
        World::new().with("orders", "A", 2, &[0]).configured("orders", &[("a", "1"), ("retention.ms", "9")]);
    let (actions, ..) = world.one(&topic("orders", json!({"config": {"retention.ms": "5"}})));
    let set: Settings = [("retention.ms".to_owned(), "5".to_owned())].into();
    assert_eq!(actions, [Action::Alter { set, delete: vec![] }]);
}

#[test]
fn a_setting_that_the_resource_named_before_is_taken_back() {
    let world =
        World::new().with("orders", "A", 2, &[0]).configured("orders", &[("a", "1"), ("retention.ms", "9")]);
    let (actions, ..) = world.one(&known(topic("orders", json!({})), "A", &["retention.ms"]));
    assert_eq!(actions, [Action::Alter { set: Settings::new(), delete: vec!["retention.ms".to_owned()] }]);
}

#[test]
fn exact_settings_are_those_named_and_no_others() {
    let world = World::new().with("orders", "A", 2, &[0]).configured("orders", &[("a", "1"), ("b", "2")]);
    let (actions, ..) = world.one(&topic("orders", json!({"configPolicy": "Exact"})));
    let delete = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(actions, [Action::Alter { set: Settings::new(), delete }]);
}

#[test]
fn a_topic_deleted_behind_its_resource_is_told_and_not_created_again() {
    let (actions, why, _) = World::new().one(&known(topic("orders", json!({})), "A", &[]));
    assert_eq!((actions.len(), why.as_str()), (0, "Missing"));
    let other = World::new().with("orders", "B", 2, &[0]);
    let (actions, why, status) = other.one(&known(topic("orders", json!({})), "A", &[]));
    assert_eq!((actions.len(), why.as_str(), status.topic_id.as_deref()), (0, "Replaced", Some("A")));
}

#[test]
fn of_two_resources_for_one_topic_the_older_has_it() {
    let older = topic("z-older", json!({"topicName": "orders"}));
    let mut younger = topic("a-younger", json!({"topicName": "orders", "partitions": 9}));
    younger.metadata.creation_timestamp = Some(Time(Timestamp::from_second(5).unwrap()));
    let world = World::new().with("orders", "A", 2, &[0]);
    let plans = world.plan(&[&younger, &older]);
    assert_eq!((reason(&plans[0].status).as_str(), plans[0].actions.len()), ("Conflict", 0));
    assert_eq!(reason(&plans[1].status), "Ready");
}

#[test]
fn what_must_not_be_adopted_is_left_alone_unless_it_is_our_own_beginning() {
    let world = World::new().with("orders", "A", 2, &[0]);
    let mut refusing = topic("orders", json!({"adoptionPolicy": "Refuse"}));
    assert_eq!(world.one(&refusing).1, "Exists");
    assert!(World::new().one(&refusing).0.contains(&Action::NoteCreating));
    refusing.status = Some(TopicStatus { creating: true, ..TopicStatus::default() });
    assert_eq!(world.one(&refusing).1, "Ready");
}

#[test]
fn a_resource_holds_its_topic_only_where_the_topic_goes_with_it() {
    let world = World::new().with("orders", "A", 2, &[0]);
    assert_eq!(world.one(&topic("orders", json!({"deletionPolicy": "Delete"}))).0, [Action::AddFinalizer]);
    let mut retained = topic("orders", json!({}));
    retained.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    assert_eq!(world.one(&retained).0, [Action::RemoveFinalizer]);
}

#[test]
fn a_deleted_resource_takes_exactly_its_own_topic_along() {
    let mut going = known(topic("orders", json!({"deletionPolicy": "Delete"})), "A", &[]);
    going.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    going.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    assert_eq!(World::new().with("orders", "A", 2, &[0]).one(&going).0, [Action::Delete]);
    assert_eq!(World::new().one(&going).0, [Action::RemoveFinalizer]);
    assert_eq!(World::new().with("orders", "B", 2, &[0]).one(&going).0, [Action::RemoveFinalizer]);
    let mut never_had = going.clone();
    never_had.status = None;
    assert_eq!(World::new().with("orders", "A", 2, &[0]).one(&never_had).0, [Action::RemoveFinalizer]);
}

#[test]
fn nothing_is_held_once_the_cluster_is_gone_or_going() {
    let mut going = known(topic("orders", json!({"deletionPolicy": "Delete"})), "A", &[]);
    going.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    going.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    for cluster in [ClusterState::Missing, ClusterState::Going] {
        let plans = plan(&Observed { resources: &[&going], cluster });
        assert_eq!(plans[0].actions, [Action::RemoveFinalizer]);
    }
    let plans = plan(&Observed { resources: &[&going], cluster: ClusterState::Unreachable("no answer") });
    assert!(plans[0].actions.is_empty());
}

#[test]
fn replicas_go_only_to_the_racks_that_placement_names() {
    let spec = json!({"partitions": 4, "replicationFactor": 2, "placement": {"racks": ["z0", "z2"]}});
    let (actions, ..) = World::new().one(&topic("orders", spec));
    let [Action::Create { assignments, .. }] = &actions[..] else { panic!("{actions:?}") };
    assert!(assignments.len() == 4 && assignments.iter().flatten().all(|id| [0, 2].contains(id)));
    let spec = json!({"replicationFactor": 2, "placement": {"racks": ["z0"]}});
    assert_eq!(World::new().one(&topic("orders", spec)).1, "NoPlacement");
}

#[test]
fn a_bad_setting_is_refused_in_words() {
    let (actions, why, status) =
        World::new().one(&topic("orders", json!({"config": {"retention.ms": "soon"}})));
    assert_eq!((actions.len(), why.as_str()), (0, "InvalidConfig"));
    assert!(status.conditions[0].message.contains("spec.config[retention.ms]"));
}

#[test]
fn settings_are_asked_for_only_where_they_may_differ() {
    let mut done = known(topic("done", json!({"config": {"retention.ms": "1"}})), "A", &["retention.ms"]);
    let world = World::new().with("done", "A", 2, &[0]).configured("done", &[("retention.ms", "1")]);
    done.status = Some(world.one(&done).2);
    let new = topic("new", json!({"config": {"retention.ms": "1"}}));
    let plain = topic("plain", json!({}));
    assert_eq!(configs_needed(&[&done, &new, &plain], false), ["new"]);
    assert_eq!(configs_needed(&[&done, &new, &plain], true), ["done", "new"]);
}
