//! A configuration that was read while the daemon runs (SIGHUP): new calls follow it, if there is nothing wrong with it.

use super::Daemon;
use super::rules::rules;
use crate::config::{Config, LoadError};
use crate::exchange::Input;
use crate::operator::{Detail, Notice};

/// A configuration that was read while the daemon runs: the whole of it, or what is wrong with it.
pub type Reload = Result<Config, LoadError>;

impl Daemon {
    /// New calls follow the configuration that was read again, if there is nothing wrong with it.
    pub(super) fn reload(&mut self, loaded: Reload) {
        let mut new = match loaded {
            Ok(new) => new,
            Err(error) => {
                for notice in error.notices() {
                    self.operator.say(&notice);
                }
                return self.refuse();
            }
        };
        for remark in new.remarks.drain(..) {
            self.operator.say(&remark);
        }
        let endpoints = match self.endpoints.renewed(&new) {
            Ok(endpoints) => endpoints,
            Err(error) => {
                self.operator.say(&Notice::Unexpected { detail: Detail::new(format!("{error:#}")) });
                return self.refuse();
            }
        };
        let fixed = self.config.reload(new);
        self.endpoints = endpoints;
        self.servers.follow(&self.config.agents.all);
        let retention = self.config.agents.retention();
        self.retention.send_if_modified(|known| {
            let is_new = *known != retention;
            *known = retention;
            is_new
        });
        // Also if nothing has changed: whoever sends messages tries an address again that was gone for good.
        self.addresses.send_replace(self.config.agents.addresses());
        self.feed(Input::Reload(Box::new(rules(&self.config, self.own_networks.as_deref()))));
        self.operator.say(&Notice::ConfigurationReloaded);
        if !fixed.is_empty() {
            self.operator.say(&Notice::RestartNeeded { variables: fixed });
        }
    }

    /// The configuration that was read again has faults: the one before stays in force.
    fn refuse(&mut self) {
        self.operator.say(&Notice::ConfigurationRefused);
        self.feed(Input::ReloadRefused);
    }
}
