//! Whether a caller's sound could be connected: Asterisk is there, does what it is asked for, our address is this machine's, and
//! the last calls had sound. `/ready` and the log say so.

use std::io;
use std::time::Duration;

use super::Daemon;
use super::clock::wall;
use super::errands::{self, PROBE_EVERY};
use crate::call::Report;
use crate::net::ari_link::Unreached;
use crate::operator::{Detail, EndReason, Notice};

impl Daemon {
    /// Asterisk cannot be connected to. Said once for each cause, however often it is tried.
    pub(super) fn unreached(&mut self, cause: Unreached, retry_in: Duration) {
        tracing::debug!(?cause, ?retry_in, "no ARI connection");
        // Asterisk is about to be there.
        if matches!(cause, Unreached::Starting(_)) || self.unreached.as_ref() == Some(&cause) {
            return;
        }
        self.operator.say(&Notice::AriLost);
        let address = self.config.asterisk.address();
        self.operator.say(&match cause.clone() {
            Unreached::Credentials => Notice::AriCredentialsRefused { address },
            Unreached::Starting(status) | Unreached::NotAri(status) => Notice::AriAbsent { address, status },
            Unreached::Certificate(cause) => {
                Notice::AriCertificateRefused { address, cause: Detail::new(cause) }
            }
            Unreached::Closed => Notice::AriClosed { address },
            Unreached::Network(cause) => Notice::AriUnreachable { address, cause: Detail::new(cause) },
        });
        self.unreached = Some(cause);
    }

    /// Asterisk begins, or no longer goes on, to refuse what it is asked for. As long as it does, it is tried.
    pub(super) fn asterisk_refuses(&mut self, refuses: bool) {
        self.readiness.send_modify(|now| now.asterisk_refuses = refuses);
        self.probe();
    }

    /// Tries whether Asterisk still refuses, if it did the last time.
    pub(super) fn probe(&mut self) {
        let wanted = {
            let now = self.readiness.borrow();
            now.asterisk_refuses && !now.draining
        };
        if wanted && !self.probes {
            self.probes = true;
            self.run(errands::probe(self.rest.clone()));
        }
    }

    /// Whether RTP sockets can be bound on our address; if not, it is tried until it is there.
    pub(super) fn address_tried(&self, tried: io::Result<()>) {
        let address = self.config.media.local_ip;
        let was_missing = self.readiness.borrow().address_missing;
        self.readiness.send_modify(|now| now.address_missing = tried.is_err());
        match tried {
            Ok(()) => {}
            Err(error) => {
                if !was_missing {
                    let (address, cause) = (address.to_string(), Detail::new(error));
                    self.operator.say(&Notice::RtpUnbindable { address, cause });
                }
                if !self.readiness.borrow().draining {
                    self.run(errands::try_address(address, PROBE_EVERY));
                }
            }
        }
    }

    /// Whether Asterisk connects calls with us, from the last one.
    pub(super) fn judge_asterisk(&self, reason: EndReason, report: Option<&Report>) {
        use EndReason::{AsteriskLost, MediaLost, NoPort, SetupFailed};
        let failed = match reason {
            // Lost with Asterisk itself, which is away, or another one since.
            AsteriskLost if report.is_some_and(|report| report.joined) => return,
            AsteriskLost | MediaLost | NoPort | SetupFailed => Some(wall()),
            _ if report.is_some_and(|report| report.joined) => None,
            // Over before it could tell.
            _ => return,
        };
        self.readiness.send_modify(|now| now.sound_failed = failed);
    }
}
