//! What the demonstration stands on: its folder, the files of its agent, free ports, and the configuration of the daemon.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::sync::mpsc;

use super::clinic;
use crate::clock::now;
use crate::config::Config;
use crate::operator::Language;
use crate::sim::asterisk::Settings;

/// The files of the agent.
const AGENT: [(&str, &str); 3] = [
    ("citas.toml", include_str!("../../examples/agents/clinic/citas.toml")),
    ("citas.md", include_str!("../../examples/agents/clinic/citas.md")),
    ("_crm.toml", include_str!("../../examples/agents/clinic/_crm.toml")),
];
/// The key that the fake server accepts.
pub(super) const KEY: &str = "sk-demo";
/// The number of even ports for the daemon. A port rests 10 s after a call, so a few would suffice.
const RTP_PORTS: u16 = 100;
/// The folder of the agent's files, below the folder of the demonstration.
pub(super) const AGENTS: &str = "agents";
/// The port on which people expect the dashboard.
const API_PORT: u16 = 5_001;

/// Sends the lines of the log to the screen.
pub(super) struct Shown(pub(super) mpsc::Sender<(Instant, String)>);

impl Write for Shown {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A line that finds no room is still in the log file.
        drop(self.0.try_send((now(), String::from_utf8_lossy(line).into_owned())));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The configuration of the daemon. It is built from variables, so that the usual code validates it.
pub(super) fn config(
    language: Language,
    asterisk: SocketAddr,
    folder: &Path,
    of_route: Vec<(&'static str, String)>,
) -> anyhow::Result<Config> {
    let ports = free_ports();
    let of_asterisk = Settings::default();
    let mut variables = vec![
        ("ASTERISK_HOST", asterisk.ip().to_string()),
        ("ASTERISK_PORT", asterisk.port().to_string()),
        ("ASTERISK_USERNAME", of_asterisk.user),
        ("ASTERISK_PASSWORD", of_asterisk.password),
        ("OPENAI_API_KEY", KEY.to_owned()),
        ("LOCAL_IP_ADDRESS", Ipv4Addr::LOCALHOST.to_string()),
        ("RTP_PORTS", format!("{}-{}", ports.start(), ports.end())),
        ("LOG_FILE_PATH", folder.join("demo.log").display().to_string()),
        ("RECORDINGS_DIR", folder.display().to_string()),
        ("AGENTS_DIR", folder.join(AGENTS).display().to_string()),
        ("CRM_TOKEN", "demo".to_owned()),
        ("API_LISTEN", format!("{}:{}", Ipv4Addr::LOCALHOST, free_port([API_PORT, 0]))),
        ("LOG_LANGUAGE", language.choose("es", "en").to_owned()),
        ("SHUTDOWN_GRACE_SECONDS", "1".to_owned()),
        ("MAX_DAY_COST", "1".to_owned()),
        // One caller at a time is no overload, however busy the machine is.
        ("MAX_FRAME_LATENESS_MS", "0".to_owned()),
    ];
    variables.extend(of_route);
    let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| v.clone());
    Config::from_variables(&variable).map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

/// Writes the files of the agent, with the address of the clinic in place of the one in the example.
pub(super) fn write_agent(folder: &Path, clinic: SocketAddr) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let example = SocketAddr::from((Ipv4Addr::LOCALHOST, clinic::PORT)).to_string();
    AGENT.iter().try_for_each(|(name, text)| {
        std::fs::write(folder.join(name), text.replace(&example, &clinic.to_string()))
    })
}

/// A range in which every even port is free at this moment. If there is none, the default range.
fn free_ports() -> RangeInclusive<u16> {
    let is_free = |port: u16| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let ranges =
        (10_000..30_000).step_by(2 * RTP_PORTS as usize).map(|first| first..=first + 2 * RTP_PORTS - 1);
    let mut free = ranges.filter(|range| range.clone().step_by(2).all(is_free));
    free.next().unwrap_or(10_000..=20_000)
}

/// The first of these ports of loopback that is free; 0 is any free port.
pub(super) fn free_port(wanted: [u16; 2]) -> u16 {
    let free = wanted.into_iter().find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    free.and_then(|free| free.local_addr().ok()).map_or(wanted[0], |address| address.port())
}

/// The folder `recordings/demo` in the working directory if it is writable, otherwise a temporary folder. A daemon in
/// the same working directory keeps its recordings and its call log in `recordings`, so that the calls of the
/// demonstration are none of the daemon's.
pub(super) fn folder() -> io::Result<PathBuf> {
    let candidates =
        [PathBuf::from("recordings/demo"), std::env::temp_dir().join("openai-inbound-calls-demo")];
    let mut last = None;
    for folder in candidates {
        let probe = folder.join("demo.log");
        let writable = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::OpenOptions::new().create(true).append(true).open(probe));
        match writable {
            Ok(_) => return Ok(folder),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}
