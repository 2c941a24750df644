//! When all is quiet every broker has the same metadata, and the quorum has as many voters as it should.

use ottla_core::metadata::Image;
use ottla_types::BrokerId;

/// Compares the images of the brokers that run.
pub fn check<'a>(images: impl Iterator<Item = (BrokerId, &'a Image)>, broken: &mut Vec<String>) {
    let mut first: Option<(BrokerId, u64, Vec<u8>)> = None;
    for (broker, image) in images {
        check_voters(broker, image, broken);
        let content = image.to_snapshot().to_vec();
        match &first {
            None => first = Some((broker, image.offset(), content)),
            // One may have heard of the last entry, another not yet.
            Some((_, offset, _)) if *offset != image.offset() => {}
            Some((other, offset, expected)) if *expected != content => {
                broken
                    .push(format!("brokers {other} and {broker} have different metadata at offset {offset}"));
            }
            Some(_) => {}
        }
    }
}

fn check_voters(broker: BrokerId, image: &Image, broken: &mut Vec<String>) {
    let wanted = match image.brokers().len() {
        0..3 => 1,
        3..5 => 3,
        _ => 5,
    };
    let membership = image.membership();
    let are_registered = membership
        .voters
        .iter()
        .chain(&membership.learners)
        .all(|node| image.brokers().values().any(|known| known.node() == *node));
    if membership.voters.len() != wanted || !are_registered {
        broken.push(format!("broker {broker}: {wanted} voters are due and the members are {membership:?}"));
    }
}
