//! Makes the scripted faults happen.
//!
//! A fault of the connection happens at its trigger. A fault of a response or a turn is handed to the
//! response or turn when it begins; faults without a number wait in `pending` for the next one.

use std::time::Duration;

use serde_json::json;

use super::script::{Fault, FaultKind, Script, Trigger};
use super::{Due, Outgoing, Phase, Session, What};

/// The faults that are active, and those that wait.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    pub(super) created_late: Duration,
    pub(super) updated_never: bool,
    pub(super) update_refused: Option<String>,
    pub(super) unknowns: bool,
    pub(super) no_acks: bool,
    /// The responses of whose end the client has not been told, so that the client may cancel them.
    pub(super) abandoned: Vec<String>,
    pending: Vec<FaultKind>,
}

impl Troubles {
    pub(super) fn new(script: &Script) -> Self {
        let mut troubles = Self::default();
        for fault in &script.faults {
            if let FaultKind::CreatedLate(delay) = &fault.kind {
                troubles.created_late = *delay;
            }
            if let FaultKind::UpdateRefused(code) = &fault.kind {
                troubles.update_refused = Some(code.clone());
            }
            troubles.updated_never |= fault.kind == FaultKind::UpdatedNever;
            troubles.unknowns |= fault.kind == FaultKind::Unknowns && fault.trigger == Trigger::OnConnect;
        }
        troubles
    }

    /// The faults that a timer starts.
    pub(super) fn timed(script: &Script) -> Vec<(Duration, usize)> {
        let timed = script.faults.iter().enumerate().filter(|(_, fault)| !fault.kind.concerns_opening());
        timed
            .filter_map(|(index, fault)| match fault.trigger {
                Trigger::At(delay) => Some((delay, index)),
                Trigger::OnConnect | Trigger::OnResponse(_) | Trigger::OnTurn(_) | Trigger::OnCall(_) => None,
            })
            .collect()
    }

    fn take_pending(&mut self, mine: fn(&FaultKind) -> bool) -> Vec<FaultKind> {
        let (taken, left) = std::mem::take(&mut self.pending).into_iter().partition(mine);
        self.pending = left;
        taken
    }
}

impl Session {
    /// The faults of the n-th response: its own, and those of the connection that strike midway through it.
    pub(super) fn faults_of_response(&mut self, number: u32) -> Vec<FaultKind> {
        let mut faults = self.troubles.take_pending(FaultKind::concerns_response);
        faults.extend(self.faults_at(Trigger::OnResponse(number), |kind| !kind.concerns_turn()));
        faults.extend(self.faults_at(Trigger::OnConnect, FaultKind::concerns_response));
        faults
    }

    /// The faults of the n-th turn: its own, and those of the connection that strike when it is committed.
    pub(super) fn faults_of_turn(&mut self, number: u32) -> Vec<FaultKind> {
        let mut faults = self.troubles.take_pending(FaultKind::concerns_turn);
        faults.extend(self.faults_at(Trigger::OnTurn(number), |_| true));
        faults.extend(self.faults_at(Trigger::OnConnect, FaultKind::concerns_turn));
        faults
    }

    pub(super) fn strike_on_connect(&mut self) {
        let here = |kind: &FaultKind| !kind.concerns_response() && !kind.concerns_turn();
        for kind in self.faults_at(Trigger::OnConnect, here) {
            self.strike(kind);
        }
    }

    pub(super) fn strike_on_call(&mut self, number: u32) {
        for kind in self.faults_at(Trigger::OnCall(number), |_| true) {
            self.strike(kind);
        }
    }

    pub(super) fn strike_timed(&mut self, index: usize) {
        self.strike(self.script.faults[index].kind.clone());
    }

    /// Makes a fault happen, or keeps it for the response or turn that it concerns.
    pub(super) fn strike(&mut self, kind: FaultKind) {
        if self.phase != Phase::Open || kind.concerns_opening() {
            return;
        }
        self.note(What::FaultStruck(format!("{kind:?}")));
        match kind {
            FaultKind::Unknowns => self.troubles.unknowns = true,
            FaultKind::NoAcks => self.troubles.no_acks = true,
            FaultKind::Expire => self.expire(),
            FaultKind::Close(code, reason) => self.close(code, &reason),
            FaultKind::Drop => {
                self.out.push_back(Outgoing::Drop);
                self.end(false);
            }
            FaultKind::Stall => {
                self.phase = Phase::Stalled;
                self.timers.clear();
            }
            FaultKind::Mute => {
                self.phase = Phase::Mute;
                self.timers.retain(|_, due| matches!(due, Due::Ping | Due::Pong | Due::Expiry));
            }
            FaultKind::Error(code) => self.send_scripted_error(&code, "Something went wrong.", None),
            FaultKind::InvalidJson => self.out.push_back(Outgoing::Text("{\"type\":\"respon".to_owned())),
            FaultKind::BinaryGarbage => {
                self.out.push_back(Outgoing::Binary(vec![0x00, 0xFF, 0x7B, 0xC3, 0x28]));
            }
            FaultKind::TranscriptLate(_)
            | FaultKind::TranscriptAfterNext
            | FaultKind::TranscriptFailed
            | FaultKind::TranscriptNever
            | FaultKind::TranscriptEmpty
            | FaultKind::FalseStart
            | FaultKind::DoneWithoutCreated
            | FaultKind::DeltasAfterCancel(_)
            | FaultKind::NoRateLimits
            | FaultKind::ResponseFails(_)
            | FaultKind::ResponseIncomplete(_)
            | FaultKind::ResponseIgnored
            | FaultKind::ResponseStuck
            | FaultKind::ResponseStalls
            | FaultKind::ResponseAbandoned
            | FaultKind::DoneNever
            | FaultKind::ResponseEmpty
            | FaultKind::ResponseMuteIncomplete(_)
            | FaultKind::ResponseInText
            | FaultKind::BrokenArguments
            | FaultKind::CallIncomplete => self.troubles.pending.push(kind),
            FaultKind::Refuse(_)
            | FaultKind::RefuseAs(..)
            | FaultKind::RefuseWithPage(_)
            | FaultKind::CreatedLate(_)
            | FaultKind::UpdatedNever
            | FaultKind::UpdateRefused(_) => {}
        }
    }

    /// The session reaches its maximum duration.
    pub(super) fn expire(&mut self) {
        let message = "Your session hit the maximum duration of 60 minutes.";
        self.send_scripted_error("session_expired", message, None);
        self.close(1001, message);
    }

    /// Sends an error that the client did not cause.
    pub(super) fn send_scripted_error(&mut self, code: &str, message: &str, event_id: Option<&str>) {
        let kind = if code == "server_error" { code } else { "invalid_request_error" };
        let error =
            json!({"type": kind, "code": code, "message": message, "param": null, "event_id": event_id});
        self.note(What::ErrorSent { code: code.to_owned(), race: true });
        self.emit("error", &json!({"error": error}));
    }

    fn faults_at(&self, trigger: Trigger, wanted: impl Fn(&FaultKind) -> bool) -> Vec<FaultKind> {
        let here = |fault: &&Fault| {
            fault.trigger == trigger && !fault.kind.concerns_opening() && wanted(&fault.kind)
        };
        self.script.faults.iter().filter(here).map(|fault| fault.kind.clone()).collect()
    }
}
