//! Calls that SIPp places, and the phones at both ends of them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

use openai_inbound_calls::sim::caller::Step;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Running, Testbed, wait};
use crate::phone::{self, Finished, Standing};
use crate::sip::SipPhone;

/// Calls in progress.
pub(crate) struct Calls {
    phones: JoinSet<(usize, Finished)>,
    sipp: JoinSet<bool>,
}

impl Testbed {
    /// Places calls, one per script, and waits for their end.
    pub(crate) fn call(
        &self,
        scenario: &str,
        number: &str,
        seconds: f64,
        scripts: Vec<Vec<Step>>,
    ) -> Vec<Finished> {
        let calls = self.place(scenario, number, seconds, scripts);
        self.finish(calls)
    }

    /// The phone of extension 200, which answers one call, repeats what it hears, and waits for the other
    /// side to hang up. The phone is ready until it is dropped.
    pub(crate) fn colleague(&self) -> Running {
        let port: u16 = self.environment["COLLEAGUE_PORT"].parse().expect("a port");
        let arguments = ["-sn", "uas", "-rtp_echo", "-i", "127.0.0.1", "-m", "1", "-nostdin"];
        let sipp = Command::new("sipp")
            .args(arguments)
            .args(["-p", &port.to_string(), "-mp", &(port + 2_000).to_string()])
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("SIPp");
        let listens = || std::net::UdpSocket::bind(("127.0.0.1", port)).is_err();
        assert!(wait(listens), "the colleague's phone does not listen");
        Running(sipp)
    }

    /// The phones of a customer and of a colleague, which can transfer. The colleague's extension is 201.
    pub(crate) fn sip_phones(&self) -> (SipPhone, SipPhone) {
        let port = |name: &str| self.environment[name].parse::<u16>().expect("a port");
        let (asterisk, colleague) = (port("SIP_PORT"), port("COLLEAGUE_PORT"));
        (SipPhone::new("3001234567", colleague + 200, asterisk), SipPhone::new("201", colleague, asterisk))
    }

    /// Places calls without waiting for their end.
    pub(crate) fn place(&self, scenario: &str, number: &str, seconds: f64, scripts: Vec<Vec<Step>>) -> Calls {
        let _runtime_context = self.runtime.enter();
        let (mut phones, mut standings, mut csv) =
            (JoinSet::new(), HashMap::new(), "SEQUENTIAL\n".to_owned());
        let count = scripts.len();
        for (index, script) in scripts.into_iter().enumerate() {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
            socket.set_nonblocking(true).expect("a socket");
            let port = socket.local_addr().expect("bound").port();
            writeln!(csv, "{port};30012345{index:02};").expect("writing to a String cannot fail");
            let (tell, standing) = watch::channel(Standing::Calling);
            standings.insert(port, tell);
            let socket = UdpSocket::from_std(socket).expect("a socket");
            phones.spawn_on(
                async move { (index, phone::run(socket, script, index as u64 + 1, standing).await) },
                self.runtime.handle(),
            );
        }
        let list = self.folder.path().join("calls.csv");
        std::fs::write(&list, csv).expect("a file");
        let mut command = tokio::process::Command::from(self.script("call"));
        command
            .args([scenario, number, &seconds.to_string()])
            .arg(list)
            .arg(count.to_string())
            .stdout(Stdio::piped());
        let mut sipp = JoinSet::new();
        sipp.spawn_on(follow(command, standings), self.runtime.handle());
        Calls { phones, sipp }
    }

    /// Waits for the end of calls, which must have gone as their scenario says.
    pub(crate) fn finish(&self, mut calls: Calls) -> Vec<Finished> {
        self.runtime.block_on(async {
            let went_well = calls.sipp.join_next().await.expect("one SIPp").expect("it does not panic");
            assert!(went_well, "SIPp counts a failed call");
            let mut finished = calls.phones.join_all().await;
            finished.sort_by_key(|(index, _)| *index);
            finished.into_iter().map(|(_, finished)| finished).collect()
        })
    }
}

/// Runs the script that runs SIPp, and passes its output to the phones. Returns whether all calls went well.
async fn follow(
    mut command: tokio::process::Command,
    standings: HashMap<u16, watch::Sender<Standing>>,
) -> bool {
    let mut sipp = command.kill_on_drop(true).spawn().expect("a script");
    let mut lines = BufReader::new(sipp.stdout.take().expect("piped")).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let words: Vec<_> = line.split(' ').collect();
        let standing = match words[..] {
            ["answered", _, port, ..] => Standing::Answered(port.parse().expect("a port")),
            ["ended", _, how, ..] => Standing::Ended(how.to_owned()),
            _ => continue,
        };
        if let Some(phone) = words[1].parse().ok().and_then(|port: u16| standings.get(&port)) {
            drop(phone.send(standing));
        }
    }
    sipp.wait().await.is_ok_and(|status| status.success())
}
