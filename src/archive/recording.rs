//! The recorder and the archive: started before the first call, stopped after the last.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::{Archive, OfAgentFiles};
use crate::clock::{self, now};
use crate::config::Config;
use crate::http::live;
use crate::logging::Operator;
use crate::recordings::{self, Recorder};

/// What the recorder may take at the end to put the last recordings on disk.
const RECORDER_PATIENCE: Duration = Duration::from_secs(5);

/// Starts what keeps recordings: the recorder, and the index and API that are told of its work.
pub fn start(
    config: &Config,
    operator: Operator,
    view: live::Daemon,
    follows: OfAgentFiles,
) -> std::io::Result<(Archive, Arc<Recorder>)> {
    let known = Arc::new(OnceLock::<Weak<Recorder>>::new());
    let asked = Arc::clone(&known);
    let ask = move || Some(asked.get()?.upgrade()?.health().into());
    let (recordings, archive) = (config.recordings.clone(), &config.archive);
    let (ask, clock) = (Box::new(ask), clock::standing);
    let archive = Archive::start(recordings, archive, operator, ask, Some(view), clock, follows)?;
    let feed = archive.feed();
    let recorder = Recorder::start(config.recordings.clone(), now, move |news| match news {
        recordings::RecorderReport::Notice(notice) => operator.say(&notice),
        recordings::RecorderReport::Opened(facts) | recordings::RecorderReport::Finished(facts) => {
            feed.put(facts);
        }
    })?;
    let recorder = Arc::new(recorder);
    known.get_or_init(|| Arc::downgrade(&recorder));
    Ok((archive, recorder))
}

/// Ends the recorder, then the archive, so that the last seconds of audio reach the disk and then the index.
pub async fn stop(recorder: Arc<Recorder>, archive: Archive) {
    let ended = tokio::task::spawn_blocking(move || {
        let ended = Arc::into_inner(recorder).is_some_and(|recorder| recorder.stop(RECORDER_PATIENCE));
        archive.stop();
        ended
    });
    if !ended.await.unwrap_or(false) {
        tracing::warn!("the recorder did not end in time; the next start completes what is left");
    }
}
