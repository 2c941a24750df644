//! The metadata quorum's effects: written, sent, applied.

use super::{Context, Process, Timer};
use crate::message::Body;
use crate::observation::Observation;
use crate::trace::Address;
use bytes::Bytes;
use ottla_core::controller::{Controller, Rules};
use ottla_core::metadata::{self, Image, ImageDelta};
use ottla_core::planted::{self, Bug};
use ottla_core::quorum::{Committed, Effect, Payload, Persist, Snapshot};
use ottla_storage::MetadataLogError;

/// Until something is written again for which there was no room.
const PERSIST_AGAIN_US: u64 = 50_000;

impl Process {
    /// Does everything the quorum wants done now.
    pub(super) fn run_quorum(&mut self, cx: &mut Context<'_>) {
        let mut delta = ImageDelta::default();
        self.drain_quorum(cx, &mut delta);
        if self.quorum.is_snapshot_due() {
            self.quorum.snapshot(self.image.offset(), self.image.to_snapshot());
            self.drain_quorum(cx, &mut delta);
        }
        self.take_control(cx);
        self.metadata_applied(cx, &delta);
        self.answer_committed(cx);
    }

    fn drain_quorum(&mut self, cx: &mut Context<'_>, delta: &mut ImageDelta) {
        loop {
            let effects = match self.quorum.drain() {
                Ok(effects) => effects,
                Err(error) => return self.broken(cx, &format!("the quorum cannot go on: {error}")),
            };
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.run_quorum_effect(cx, effect, delta);
            }
        }
    }

    fn run_quorum_effect(&mut self, cx: &mut Context<'_>, effect: Effect, delta: &mut ImageDelta) {
        match effect {
            Effect::Persist(persist) => {
                let delay = cx.sync_us();
                cx.after(delay, Timer::Persisted(persist.number));
                let number = persist.number;
                self.unwritten = Some(persist);
                if planted::is(Bug::VoteBeforeFlush) {
                    self.quorum.persisted(number);
                }
            }
            Effect::Send { to, bytes } => cx.send(Address::Broker(to.broker().0), Body::Consensus(bytes)),
            Effect::Apply(entries) => {
                for entry in entries {
                    self.apply_entry(cx, entry, delta);
                }
            }
            Effect::ApplySnapshot(snapshot) => self.replace_image(cx, snapshot, delta),
            Effect::Leadership(leadership) => {
                let leader = leadership.leader.map_or(-1, |leader| i64::from(leader.broker().0));
                cx.trace("quorum term {}: leader {}", &[leadership.term as i64, leader]);
                self.end_controller(cx);
                self.term = leadership.term;
                if leadership.am_leader {
                    cx.observe(Observation::Controls { broker: self.id, term: self.term });
                }
            }
            Effect::SaveSnapshot { snapshot, compact_to } => {
                let now = cx.wall_ms();
                let log = &mut self.metadata_log;
                let saved = log
                    .save_snapshot(snapshot.index, snapshot.term, &snapshot.bytes, now)
                    .and_then(|()| log.compact_to(compact_to, now));
                if saved.as_ref().is_err_and(MetadataLogError::is_full) {
                    // The entries stay instead, and the next snapshot takes their place.
                } else if self.durable.disk.fails() && saved.is_err() {
                    cx.trace("a snapshot could not be saved: the broker stops", &[]);
                    cx.out.stopped = true;
                } else if let Err(error) = saved {
                    self.broken(cx, &format!("a snapshot could not be saved: {error}"));
                }
            }
        }
    }

    /// The disk is done with the last batch for the metadata log.
    pub(super) fn handle_persisted(&mut self, cx: &mut Context<'_>, number: u64) {
        let Some(persist) = self.unwritten.take_if(|persist| persist.number == number) else { return };
        match self.write_metadata(&persist, cx.wall_ms()) {
            Ok(()) => {}
            Err(error) if error.is_full() => {
                cx.after(PERSIST_AGAIN_US, Timer::Persisted(number));
                self.unwritten = Some(persist);
                return;
            }
            Err(_) => {
                cx.trace("the metadata log failed: the broker stops", &[]);
                cx.out.stopped = true;
                return;
            }
        }
        if !planted::is(Bug::VoteBeforeFlush) {
            self.quorum.persisted(number);
        }
        self.run_quorum(cx);
    }

    fn write_metadata(&mut self, persist: &Persist, now: i64) -> Result<(), MetadataLogError> {
        let log = &mut self.metadata_log;
        if let Some(snapshot) = &persist.snapshot {
            log.save_snapshot(snapshot.index, snapshot.term, &snapshot.bytes, now)?;
            log.compact_to(snapshot.index, now)?;
        }
        if let Some(first) = persist.entries.first() {
            log.truncate_from(first.index, now)?;
            let entries: Vec<(u64, u64, Bytes)> =
                persist.entries.iter().map(|entry| (entry.index, entry.term, entry.bytes.clone())).collect();
            log.append(&entries, now)?;
        }
        if let Some(state) = &persist.hard_state {
            log.save_hard_state(state, persist.must_sync)?;
        }
        if persist.must_sync && !planted::is(Bug::ForgetMetadataSync) {
            log.sync()?;
        }
        Ok(())
    }

    fn apply_entry(&mut self, cx: &mut Context<'_>, entry: Committed, delta: &mut ImageDelta) {
        match entry.payload {
            Payload::Data(bytes) => {
                let applied =
                    metadata::decode(bytes).map_err(|error| error.to_string()).and_then(|records| {
                        self.image.apply(&records, entry.index, delta).map_err(|error| error.to_string())
                    });
                if let Err(error) = applied {
                    self.broken(cx, &format!("metadata entry {} does not apply: {error}", entry.index));
                }
                self.report_permits(cx);
            }
            Payload::Membership(members) => {
                self.image.set_membership(members.clone());
                self.image.set_offset(entry.index);
                if let Some(controller) = &mut self.controller {
                    controller.membership_changed(members);
                }
            }
            Payload::Empty => self.image.set_offset(entry.index),
        }
    }

    /// Tells the checkers of a permit that was given, with the metadata at that moment.
    fn report_permits(&mut self, cx: &mut Context<'_>) {
        let newest = newest_permit(&self.image);
        if newest > self.reported_permit {
            self.reported_permit = newest;
            cx.observe(Observation::Permits { broker: self.id, image: Box::new(self.image.clone()) });
        }
    }

    fn replace_image(&mut self, cx: &mut Context<'_>, snapshot: Snapshot, delta: &mut ImageDelta) {
        match Image::from_snapshot(snapshot.data) {
            Ok(mut image) => {
                image.set_membership(snapshot.membership);
                image.set_offset(snapshot.index);
                cx.trace("takes the metadata snapshot at {}", &[snapshot.index as i64]);
                delta.merge(ImageDelta::between(&self.image, &image));
                // Given some time ago: the partitions were others then.
                self.reported_permit = self.reported_permit.max(newest_permit(&image));
                self.image = image;
            }
            Err(error) => self.broken(cx, &format!("a metadata snapshot cannot be read: {error}")),
        }
    }

    fn take_control(&mut self, cx: &mut Context<'_>) {
        if self.controller.is_some() || !self.quorum.is_in_control() {
            return;
        }
        let rules = Rules { session_timeout_ms: 3_000, ..Rules::new(cx.random.next_u64()) };
        self.controller = Some(Controller::new(self.image.clone(), cx.now_ms, rules));
        cx.trace("is in control in term {}", &[self.term as i64]);
        cx.after(10_000, Timer::ControllerTick);
    }

    pub(super) fn broken(&mut self, cx: &mut Context<'_>, what: &str) {
        cx.observe(Observation::Broken(format!("broker {}: {what}", self.id)));
    }
}

/// The epoch of the newest permit that is out; 0 if none is.
pub(super) fn newest_permit(image: &Image) -> i64 {
    image.permits().values().map(|permit| permit.epoch).max().unwrap_or(0)
}
