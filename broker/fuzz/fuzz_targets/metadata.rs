//! What brokers hold as metadata and send each other: entries of the metadata log, snapshots of it, messages of the
//! quorum, requests to the controller. The first byte chooses.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ottla_core::controller::{Controller, Request, Rules};
use ottla_core::metadata::{self, Image, ImageDelta, NodeId};
use ottla_core::quorum::{Config, Effect, Quorum, Recovered};
use ottla_types::{BrokerId, DirectoryId, Uuid};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, bytes)) = data.split_first() else { return };
    match choice % 4 {
        0 => entry(bytes),
        1 => snapshot(bytes),
        2 => message(bytes),
        _ => request(bytes),
    }
});

fn entry(bytes: &[u8]) {
    let Ok(records) = metadata::decode(Bytes::copy_from_slice(bytes)) else { return };
    assert_eq!(metadata::decode(metadata::encode(&records)).unwrap(), records);
    let mut image = Image::default();
    let _ = image.apply(&records, 1, &mut ImageDelta::default());
}

fn snapshot(bytes: &[u8]) {
    let Ok(image) = Image::from_snapshot(Bytes::copy_from_slice(bytes)) else { return };
    let written = image.to_snapshot();
    let again = Image::from_snapshot(written.clone()).expect("a snapshot that was just written");
    assert_eq!(again.to_snapshot(), written, "a snapshot does not read back");
}

fn message(bytes: &[u8]) {
    let node = |broker: i32| {
        let directory = DirectoryId(Uuid::from_u64_pair(1, 1 + u64::from(broker.unsigned_abs())));
        NodeId::new(BrokerId(broker), directory)
    };
    let founding = Recovered::founding(node(0), Image::default().to_snapshot());
    let mut quorum = Quorum::start(Config::new(node(0), 1), founding).unwrap();
    settle(&mut quorum);
    let _ = quorum.step(bytes);
    settle(&mut quorum);
}

/// Lets the quorum do what it wants for a while; it may refuse to go on, but not panic.
fn settle(quorum: &mut Quorum) {
    for _ in 0..20 {
        let Ok(effects) = quorum.drain() else { return };
        if effects.is_empty() {
            return;
        }
        for effect in effects {
            if let Effect::Persist(persist) = effect {
                quorum.persisted(persist.number);
            }
        }
    }
}

fn request(bytes: &[u8]) {
    let Ok(request) = serde_json::from_slice::<Request>(bytes) else { return };
    let mut controller = Controller::new(Image::default(), 0, Rules::new(1));
    let records = controller.handle(0, request).records;
    assert_eq!(metadata::decode(metadata::encode(&records)).unwrap(), records);
    // What a controller decides can be applied.
    let mut image = Image::default();
    image.apply(&records, 1, &mut ImageDelta::default()).expect("what was decided");
}
