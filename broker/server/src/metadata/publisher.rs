//! The thread that brings committed metadata to the replicas and then to the readers.
//!
//! It is a thread of its own because creating a thousand logs takes longer than the quorum can go without a heartbeat.
//! What piles up meanwhile is merged: the replicas go from one image to a later one, never through all between.

use super::Metadata;
use super::node::PendingReply;
use ottla_core::metadata::{Image, ImageDelta};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

/// Something to publish.
#[derive(Debug)]
pub struct Publication {
    /// The image.
    pub image: Image,
    /// What differs from the one before.
    pub delta: ImageDelta,
    /// Who waits for it.
    pub replies: Vec<PendingReply>,
}

/// What must happen before readers see an image.
pub trait Apply: Send + 'static {
    /// Makes the broker what `image` says; `delta` is what changed.
    fn apply(&mut self, image: &Image, delta: &ImageDelta);
}

/// The sending end.
#[derive(Debug)]
pub struct Publisher {
    publications: Sender<Publication>,
    /// Offset of the image that was sent last.
    sent: u64,
}

impl Publisher {
    /// A publisher and the end that [`run`] takes.
    pub fn new() -> (Self, Receiver<Publication>) {
        let (publications, receiver) = mpsc::channel();
        (Self { publications, sent: 0 }, receiver)
    }

    /// True if the image at `offset` was not sent yet.
    pub fn is_behind(&self, offset: u64) -> bool {
        self.sent < offset
    }

    /// Sends an image on its way.
    pub fn publish(&mut self, publication: Publication) {
        self.sent = publication.image.offset();
        // The other end goes away only when the broker stops.
        let _ = self.publications.send(publication);
    }
}

/// Publishes until the sending end is gone.
pub fn run(publications: &Receiver<Publication>, metadata: &Arc<Metadata>, mut apply: impl Apply) {
    while let Ok(first) = publications.recv() {
        let Publication { mut image, mut delta, mut replies } = first;
        while let Ok(next) = publications.try_recv() {
            image = next.image;
            delta.merge(next.delta);
            replies.extend(next.replies);
        }
        apply.apply(&image, &delta);
        metadata.publish(image);
        for pending in replies {
            // Whoever asked may have gone.
            let _ = pending.to.send(Ok(pending.reply));
        }
    }
}
