//! Asks Asterisk about itself over ARI and, if Asterisk runs on this machine and its console is accessible,
//! over the console. ARI does not show the dialplan; the console does.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::process::Command;
use tokio::time::timeout;

use super::facts::{AriFault, Asterisk, Dialplan};
use crate::ari::info::version;
use crate::ari::lists::running_modules;
use crate::ari::request::{Reply, Request};
use crate::config::AsteriskConfig;
use crate::net::ari_rest::AriRest;
use crate::operator::Detail;

/// The time limit of the first answer. An Asterisk that is slower serves no call. A larger value makes the
/// command slower; a smaller value reports a busy Asterisk as unreachable.
const LIMIT: Duration = Duration::from_secs(5);
/// The start of rustls's message about a certificate that is not trusted.
const UNTRUSTED: &str = "invalid peer certificate";
/// The configuration file with the RTP ports of Asterisk.
const RTP_CONF: &str = "/etc/asterisk/rtp.conf";
/// The configuration file with the number of connections that Asterisk's HTTP server serves at once.
const HTTP_CONF: &str = "/etc/asterisk/http.conf";
/// The RTP ports that Asterisk uses if rtp.conf names none.
const USUAL_PORTS: RangeInclusive<u16> = 5_000..=31_000;

/// The version of Asterisk, or why ARI does not serve the program.
pub(super) async fn version_of(rest: &AriRest) -> Result<Detail, AriFault> {
    match timeout(LIMIT, rest.perform(&Request::Info)).await {
        Ok(Reply::Done(body)) => Ok(Detail::new(version(&body).unwrap_or_else(|| "?".to_owned()))),
        Ok(Reply::Refused { status: 401 | 403, .. }) => Err(AriFault::Credentials),
        Ok(Reply::Refused { status, .. }) => Err(AriFault::Status(status)),
        Ok(Reply::Lost(cause)) if cause.starts_with(UNTRUSTED) => {
            Err(AriFault::Certificate(Detail::new(cause)))
        }
        Ok(Reply::Lost(cause)) => Err(AriFault::Unreachable(Detail::new(cause))),
        Err(_) => Err(AriFault::Unreachable(Detail::new(format!("no answer within {} s", LIMIT.as_secs())))),
    }
}

/// The modules that are running.
pub(super) async fn modules(rest: &AriRest) -> Result<Vec<String>, Detail> {
    match rest.perform(&Request::Modules).await {
        Reply::Done(body) => running_modules(&body).ok_or_else(|| Detail::new("not a list")),
        Reply::Refused { status, message } => Err(Detail::of_asterisk(&format!("HTTP {status} {message}"))),
        Reply::Lost(cause) => Err(Detail::new(cause)),
    }
}

/// What can be seen without ARI: whether Asterisk runs on this machine, its dialplan and its RTP ports.
pub(super) async fn outside(config: &AsteriskConfig) -> Asterisk {
    let is_here = is_here(config).await;
    let (dialplan, rtp_ports) = if is_here {
        let (dialplan, settings) = tokio::join!(console("dialplan show"), console("rtp show settings"));
        let rtp_ports = match &settings {
            Ok(settings) => ports_shown(settings),
            Err(_) => std::fs::read_to_string(RTP_CONF).ok().map(|text| ports_written(&text)),
        };
        (dialplan.map_or_else(Dialplan::Hidden, |text| read(&text)), rtp_ports)
    } else {
        (Dialplan::Hidden(Detail::new(format!("ASTERISK_HOST={}", config.host))), None)
    };
    Asterisk {
        address: config.address(),
        user: config.username.clone(),
        app: config.app.clone(),
        is_here,
        version: Err(AriFault::Unreachable(Detail::default())),
        modules: None,
        dialplan,
        session_limit: is_here.then(|| limit_written(&std::fs::read_to_string(HTTP_CONF).ok()?)).flatten(),
        rtp_ports,
    }
}

/// Whether the address of Asterisk belongs to this machine. If it does, a socket can be bound to the address.
async fn is_here(config: &AsteriskConfig) -> bool {
    let found = timeout(LIMIT, lookup_host((config.host.as_str(), config.port))).await;
    let Ok(Ok(mut addresses)) = found else { return false };
    let Some(address) = addresses.next() else { return false };
    UdpSocket::bind(SocketAddr::new(address.ip(), 0)).await.is_ok()
}

/// The output of a command on Asterisk's console, or why there is none.
async fn console(command: &str) -> Result<String, Detail> {
    let asked = Command::new("asterisk").args(["-rx", command]).kill_on_drop(true).output();
    match timeout(LIMIT, asked).await {
        Ok(Ok(output)) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(Ok(output)) => Err(Detail::new(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()))),
        Ok(Err(error)) => Err(Detail::new(format!("asterisk -rx: {error}"))),
        Err(_) => Err(Detail::new(format!("asterisk -rx: no answer within {} s", LIMIT.as_secs()))),
    }
}

/// Reads the output of `dialplan show`. Asterisk itself creates a context `stasis-NAME` for every registered
/// application, including the temporary one of the doctor. No caller reaches such a context, so it does not
/// count.
fn read(shown: &str) -> Dialplan {
    let (mut apps, mut unclear) = (Vec::<(String, usize)>::new(), None);
    for line in shown.lines().filter(|line| !line.ends_with("[res_stasis]")) {
        let called =
            line.split_once(". Stasis(").map(|(_, rest)| rest.split([',', ')']).next().unwrap_or_default());
        match called.map(str::trim) {
            // The application is computed during a call, so its name is unknown here.
            Some(name) if name.contains('$') => unclear = Some(Detail::new(format!("Stasis({name})"))),
            Some(name) => match apps.iter_mut().find(|(known, _)| known == name) {
                Some((_, places)) => *places += 1,
                None => apps.push((name.to_owned(), 1)),
            },
            // The extensions are in a database, which `dialplan show` does not list.
            None if line.contains("Alt. Switch") => unclear = Some(Detail::new(line)),
            None => {}
        }
    }
    Dialplan::Seen { apps, unclear }
}

/// The ports in the output of `rtp show settings`.
fn ports_shown(settings: &str) -> Option<RangeInclusive<u16>> {
    let value = |wanted: &str| {
        let found = settings.lines().filter_map(|line| line.split_once(':'));
        found.filter(|(name, _)| name.trim() == wanted).find_map(|(_, value)| value.trim().parse().ok())
    };
    Some(value("Port start")?..=value("Port end")?)
}

/// The ports in the text of an `rtp.conf`.
fn ports_written(conf: &str) -> RangeInclusive<u16> {
    let value = |wanted: &str| number_written(conf, wanted);
    value("rtpstart").unwrap_or(*USUAL_PORTS.start())..=value("rtpend").unwrap_or(*USUAL_PORTS.end())
}

/// The `sessionlimit` in the text of an `http.conf`.
fn limit_written(conf: &str) -> Option<u32> {
    number_written(conf, "sessionlimit")
}

/// The number that a configuration file of Asterisk assigns to an option.
fn number_written<T: FromStr>(conf: &str, wanted: &str) -> Option<T> {
    let lines = conf.lines().map(|line| line.split(';').next().unwrap_or_default());
    let found = lines.filter_map(|line| line.split_once('='));
    found
        .filter(|(name, _)| name.trim() == wanted)
        .find_map(|(_, value)| value.trim_start_matches('>').trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialplan_is_read_as_both_asterisks_print_it() {
        let shown = "\
[ Context 'stasis-openai-app' created by 'res_stasis' ]
  'h' =>            1. NoOp()                                     [res_stasis]
  '_.' =>           1. Stasis(openai-app)                         [res_stasis]

[ Context 'from-voip' created by 'pbx_config' ]
  '3241000752' =>   1. Answer()                                   [extensions.conf:2]
                    4. Stasis(openai-app)                         [extensions.conf:5]
  '602' =>          1. Stasis(openai-app,x)                       [extensions.conf:11]
  '603' =>          1. Stasis(other)                              [extensions.conf:12]
  '604' =>          1. NoOp(no Stasis(openai-app) here)           [extensions.conf:13]
";
        let apps = vec![("openai-app".to_owned(), 2), ("other".to_owned(), 1)];
        assert_eq!(read(shown), Dialplan::Seen { apps, unclear: None });
        let computed =
            "  '1' =>            1. Stasis(${APP})                             [extensions.conf:2]\n";
        let unclear = Some(Detail::new("Stasis(${APP})"));
        assert_eq!(read(computed), Dialplan::Seen { apps: Vec::new(), unclear });
        let elsewhere =
            "  Alt. Switch =>    'Realtime/@extensions'                        [extensions.conf:3]\n";
        assert!(matches!(read(elsewhere), Dialplan::Seen { unclear: Some(_), .. }));
    }

    #[test]
    fn the_ports_are_read_from_the_console_and_from_the_file() {
        let shown = "General Settings:\n----------------\n  Port start:      48000\n  Port end:        48099\n  ICE support:     Yes\n";
        assert_eq!(ports_shown(shown), Some(48_000..=48_099));
        assert_eq!(ports_shown("No such command"), None);
        let written = "[general]\nrtpstart=10000 ; first\n;rtpend=1\nrtpend => 20000\n";
        assert_eq!(ports_written(written), 10_000..=20_000);
        assert_eq!(ports_written("[general]\n"), USUAL_PORTS);
        assert_eq!(limit_written("[general]\nsessionlimit=30 ; few\n"), Some(30));
        assert_eq!(limit_written("[general]\n;sessionlimit=100\n"), None);
    }
}
