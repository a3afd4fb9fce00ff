//! ARI's JSON, field by field as Asterisk writes it: events, channels and bridges. This module only writes;
//! it makes no decisions.

use std::fmt::Write as _;
use std::time::Duration;

use super::objects::{Bridge, Channel};
use super::world::Version;

/// The variable that `channelvars` of ari.conf names.
const SHOWN_VARIABLE: &str = "AI_AGENT";

/// The `asterisk_id` of every message.
pub(super) const ASTERISK_ID: &str = "00:00:00:00:00:00";

/// An event before its receivers are known.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) kind: &'static str,
    /// The fields before `type`, each with its comma.
    before: String,
    /// The fields after `timestamp`, each with its comma.
    after: String,
}

impl Event {
    /// An event that holds nothing but a channel.
    pub(super) fn channel(kind: &'static str, channel: &Channel) -> Self {
        Self::with(kind, "", channel)
    }

    /// An event about a channel, with fields (each with its comma) before the channel.
    fn with(kind: &'static str, members: &str, channel: &Channel) -> Self {
        let after = format!("{members}\"channel\":{},", channel_json(channel));
        Self { kind, before: String::new(), after }
    }

    pub(super) fn stasis_start(channel: &Channel, args: &[String]) -> Self {
        let args = serde_json::to_string(args).expect("strings are always JSON");
        Self::with("StasisStart", &format!("\"args\":{args},"), channel)
    }

    /// The [`Self::stasis_start`] of a channel that takes the place of another one.
    pub(super) fn replacement(channel: &Channel, old: &Channel) -> Self {
        let args = serde_json::to_string(&channel.args).expect("strings are always JSON");
        let mut event = Self::with("StasisStart", &format!("\"args\":{args},"), channel);
        write!(event.after, "\"replace_channel\":{},", channel_json(old))
            .expect("writing to a String cannot fail");
        event
    }

    pub(super) fn dial(status: &str, dialled: &str, peer: &Channel) -> Self {
        let after = format!(
            "\"dialstatus\":\"{status}\",\"forward\":\"\",\"dialstring\":{},\"peer\":{},",
            quote(dialled),
            channel_json(peer)
        );
        Self { kind: "Dial", before: String::new(), after }
    }

    pub(super) fn variable(channel: &Channel, name: &str, value: &str) -> Self {
        let event = Self::channel("ChannelVarset", channel);
        Self { before: format!("\"variable\":{},\"value\":{},", quote(name), quote(value)), ..event }
    }

    pub(super) fn key(channel: &Channel, digit: char, duration_ms: u32) -> Self {
        let members = format!("\"digit\":\"{digit}\",\"duration_ms\":{duration_ms},");
        Self::with("ChannelDtmfReceived", &members, channel)
    }

    pub(super) fn recording_finished(name: &str) -> Self {
        let (before, name) = (String::new(), quote(name));
        let after = format!("\"recording\":{{\"name\":{name},\"format\":\"ulaw\",\"state\":\"done\"}},");
        Self { kind: "RecordingFinished", before, after }
    }

    pub(super) fn hold(channel: &Channel) -> Self {
        Self::with("ChannelHold", "\"musicclass\":\"default\",", channel)
    }

    pub(super) fn hangup_request(
        channel: &Channel,
        cause: Option<u16>,
        tech_cause: Option<u16>,
        soft: bool,
    ) -> Self {
        let mut before = String::new();
        if let Some(cause) = cause {
            write!(before, "\"cause\":{cause},").expect("writing to a String cannot fail");
        }
        if let Some(cause) = tech_cause {
            write!(before, "\"tech_cause\":{cause},").expect("writing to a String cannot fail");
        }
        if soft {
            before.push_str("\"soft\":true,");
        }
        Self { before, ..Self::channel("ChannelHangupRequest", channel) }
    }

    pub(super) fn destroyed(channel: &Channel, cause: u16) -> Self {
        let text = match cause {
            0 => "Unknown",
            16 => "Normal Clearing",
            17 => "User busy",
            19 => "User alerting, no answer",
            21 => "Call Rejected",
            26 => "Answered elsewhere",
            31 => "Normal, unspecified",
            34 => "Circuit/channel congestion",
            127 => "Interworking, unspecified",
            _ => "",
        };
        Self::with("ChannelDestroyed", &format!("\"cause\":{cause},\"cause_txt\":\"{text}\","), channel)
    }

    pub(super) fn in_bridge(kind: &'static str, bridge: &Bridge, channel: &Channel) -> Self {
        Self::with(kind, &format!("\"bridge\":{},", bridge_json(bridge)), channel)
    }

    pub(super) fn bridge(kind: &'static str, bridge: &Bridge) -> Self {
        Self { kind, before: String::new(), after: format!("\"bridge\":{},", bridge_json(bridge)) }
    }

    /// The whole message for one application.
    pub(super) fn text(&self, timestamp: &str, application: &str) -> String {
        let Self { kind, before, after } = self;
        let application = quote(application);
        format!(
            "{{{before}\"type\":\"{kind}\",\"timestamp\":\"{timestamp}\",{after}\
             \"asterisk_id\":\"{ASTERISK_ID}\",\"application\":{application}}}"
        )
    }
}

/// The message that the first socket receives when a second socket registers the same application.
pub(super) fn replaced(timestamp: &str, application: &str) -> String {
    let application = quote(application);
    format!(
        "{{\"type\":\"ApplicationReplaced\",\"timestamp\":\"{timestamp}\",\
         \"application\":{application},\"asterisk_id\":\"{ASTERISK_ID}\"}}"
    )
}

/// A channel as events and replies show it, with the variable that `channelvars` of ari.conf names, if the dialplan has set it.
pub(super) fn channel_json(channel: &Channel) -> String {
    let c = channel;
    let shown = c.variables.iter().find(|(name, _)| name == SHOWN_VARIABLE);
    let variables = shown.map_or_else(String::new, |(name, value)| {
        format!(",\"channelvars\":{{{}:{}}}", quote(name), quote(value))
    });
    format!(
        "{{\"id\":{},\"name\":{},\"state\":\"{}\",\"protocol_id\":{},\"caller\":{{\"name\":\"\",\"number\":{}}},\
         \"connected\":{{\"name\":\"\",\"number\":{}}},\"accountcode\":\"\",\"dialplan\":{{\"context\":{},\"exten\":{},\
         \"priority\":{},\"app_name\":\"{}\",\"app_data\":{}}},\"creationtime\":\"{}\",\"language\":\"en\"{variables}}}",
        quote(&c.id),
        quote(&c.name),
        c.state,
        quote(&c.protocol_id),
        quote(&c.number),
        quote(&c.connected),
        quote(&c.context),
        quote(&c.extension),
        c.priority,
        c.app_name,
        quote(&c.app_data),
        c.created,
    )
}

/// The reply to `externalMedia`: the channel with the address of its socket.
pub(super) fn external_media_json(channel: &Channel, address: std::net::IpAddr, port: u16) -> String {
    let mut json = channel_json(channel);
    json.pop();
    write!(
        json,
        ",\"channelvars\":{{\"UNICASTRTP_LOCAL_ADDRESS\":\"{address}\",\"UNICASTRTP_LOCAL_PORT\":\"{port}\"}}}}"
    )
    .expect("writing to a String cannot fail");
    json
}

/// A bridge as events and replies show it.
pub(super) fn bridge_json(bridge: &Bridge) -> String {
    let channels: Vec<&str> = bridge.members.iter().map(|(_, id)| id.as_str()).collect();
    let channels = serde_json::to_string(&channels).expect("strings are always JSON");
    format!(
        "{{\"id\":{},\"technology\":\"{}\",\"bridge_type\":{},\"bridge_class\":\"stasis\",\"creator\":\"Stasis\",\
         \"name\":{},\"channels\":{channels},\"creationtime\":\"{}\",\"video_mode\":\"talker\"}}",
        quote(&bridge.id),
        bridge.technology(),
        quote(&bridge.kind),
        quote(&bridge.name),
        bridge.created,
    )
}

/// The answer to `GET /asterisk/info`.
pub(super) fn info_json(version: Version, started: &str) -> String {
    let (number, os) = match version {
        Version::V16 => ("16.28.0", "bullseye"),
        Version::V22 => ("22.10.1", "forky"),
    };
    format!(
        "{{\"build\":{{\"os\":\"Linux\",\"kernel\":\"6.1\",\"machine\":\"x86_64\",\"options\":\"\",\"date\":\"{os}\",\"user\":\"sim\"}},\
         \"system\":{{\"version\":\"{number}\",\"entity_id\":\"{ASTERISK_ID}\"}},\
         \"config\":{{\"name\":\"\",\"default_language\":\"en\",\"setid\":{{\"user\":\"\",\"group\":\"\"}}}},\
         \"status\":{{\"startup_time\":\"{started}\",\"last_reload_time\":\"{started}\"}}}}"
    )
}

/// Some of the modules of a real Asterisk with their descriptions, which are the same in 16 and 22.
const MODULES: [(&str, &str); 23] = [
    ("acl", "Named ACL system"),
    ("app_stasis.so", "Stasis dialplan application"),
    ("bridge_simple.so", "Simple two channel bridging module"),
    ("bridge_softmix.so", "Multi-party software based channel mixing"),
    ("chan_pjsip.so", "PJSIP Channel Driver"),
    ("chan_rtp.so", "RTP Media Channel"),
    ("codec_alaw.so", "A-law Coder/Decoder"),
    ("codec_ulaw.so", "mu-Law Coder/Decoder"),
    ("func_dialplan.so", "Dialplan Context/Extension/Priority Checking Functions"),
    ("res_ari.so", "Asterisk RESTful Interface"),
    ("res_ari_applications.so", "RESTful API module - Stasis application resources"),
    ("res_ari_asterisk.so", "RESTful API module - Asterisk resources"),
    ("res_ari_bridges.so", "RESTful API module - Bridge resources"),
    ("res_ari_channels.so", "RESTful API module - Channel resources"),
    ("res_ari_events.so", "RESTful API module - WebSocket resource"),
    ("res_ari_recordings.so", "RESTful API module - Recording resources"),
    ("res_http_websocket.so", "HTTP WebSocket Support"),
    ("res_pjsip.so", "Basic SIP resource"),
    ("res_pjsip_header_funcs.so", "PJSIP Header Functions"),
    ("res_rtp_asterisk.so", "Asterisk RTP Stack"),
    ("res_srtp.so", "Secure RTP (SRTP)"),
    ("res_stasis.so", "Stasis application support"),
    ("res_stasis_answer.so", "Stasis application answer support"),
];

/// The answer to `GET /asterisk/modules`.
pub(super) fn modules_json(unloaded: &[String]) -> String {
    let loaded = MODULES.iter().filter(|(name, _)| !unloaded.iter().any(|missing| missing == name));
    let modules: Vec<String> = loaded
        .map(|(name, description)| {
            format!(
                "{{\"name\":\"{name}\",\"description\":\"{description}\",\"use_count\":0,\"status\":\"Running\",\"support_level\":\"core\"}}"
            )
        })
        .collect();
    format!("[{}]", modules.join(","))
}

/// An error message as ARI writes it.
pub(super) fn message(text: &str) -> String {
    format!("{{\"message\":{}}}", quote(text))
}

/// A string as JSON.
pub(super) fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

/// Unix time as ARI writes it: `2026-11-20T12:23:29.219+0000`.
pub(super) fn timestamp(unix: Duration) -> String {
    let seconds = unix.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // The conversion of days to a date follows H. Hinnant, "chrono-compatible low-level date algorithms", for
    // days since 1970 only.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}+0000",
        unix.subsec_millis()
    )
}
