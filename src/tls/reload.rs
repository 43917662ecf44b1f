//! Follows the files of a certificate.
//!
//! One look is a `stat` of each file, links followed, every [`PERIOD`]. It is polling on purpose:
//! notifications of the system do not reach network mounts and bind mounts of single files, do not follow
//! links, and get lost when a folder is replaced as a whole, which is just how Kubernetes swaps a secret.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::sign::CertifiedKey;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::certificate::{Certificate, Shared, Source};
use crate::error::Error;
use crate::telemetry::events;

/// Between two looks. Kestrel notices a change after 3 to 8 seconds.
pub(super) const PERIOD: Duration = Duration::from_secs(5);

/// How long changed files must stand still before they are read: writing two files takes a moment.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

impl Certificate {
    /// Follows the files until it is dropped; `None` if there are none. To be spawned once the endpoint is
    /// bound. Where clones are watched too, one of them looks, and the next takes over when it is gone.
    pub(crate) fn watch(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        self.shared.watched.as_ref()?;
        Some(watch(self.shared.clone()))
    }
}

async fn watch(shared: Arc<Shared>) {
    let Some(watched) = &shared.watched else { return };
    let mut seen = watched.seen.clone().lock_owned().await;
    let mut pause = PERIOD;
    loop {
        sleep(pause).await;
        let shared = shared.clone();
        let log = tracing::dispatcher::get_default(Clone::clone);
        // A mount that hangs must not hold up a worker.
        let looked = spawn_blocking(move || {
            let next = tracing::dispatcher::with_default(&log, || look(&shared, &mut seen));
            (seen, next)
        });
        match looked.await {
            Ok(looked) => (seen, pause) = looked,
            // Whatever broke over these files, the next ones may be good.
            Err(error) if error.is_panic() => {
                (seen, pause) = (watched.seen.clone().lock_owned().await, PERIOD);
            }
            // The runtime shuts down.
            Err(_) => return,
        }
    }
}

/// One look; returns when to look again.
fn look(shared: &Shared, seen: &mut Seen) -> Duration {
    let Some(watched) = &shared.watched else { return PERIOD };
    let Some(stamps) = watched.stamps() else {
        // One is gone, for now or for good.
        seen.changed = None;
        return PERIOD;
    };
    let known = seen.loaded.as_ref() == Some(&stamps);
    if known && seen.failure.is_none() {
        seen.changed = None;
        return PERIOD;
    }
    if !known && seen.changed.as_ref() != Some(&stamps) {
        seen.changed = Some(stamps);
        return SETTLE;
    }
    let loaded = watched.source.load();
    if watched.stamps().as_ref() != Some(&stamps) {
        // What was read may be one file of before and one of after.
        seen.changed = None;
        return SETTLE;
    }
    match loaded {
        Ok(key) => {
            seen.failure = None;
            if key.cert != shared.current().cert {
                shared.replace(key);
                events::certificate_reloaded(shared);
            }
        }
        Err(error) => {
            let text = format!("{error:?}");
            // Tried again at each look; said once.
            if seen.failure.as_ref() != Some(&text) {
                events::certificate_not_reloaded(&error);
                seen.failure = Some(text);
            }
        }
    }
    seen.loaded = Some(stamps);
    seen.changed = None;
    PERIOD
}

/// The files of a certificate and how they looked when they were last read.
pub(super) struct Watched {
    source: Source,
    /// Held by the one who looks.
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    /// At the last load.
    loaded: Option<Vec<Stamp>>,
    /// At the last look, if they differed then.
    changed: Option<Vec<Stamp>>,
    /// What was wrong with them, if they could not be loaded.
    failure: Option<String>,
}

impl Watched {
    /// Reads the files for the first time.
    pub(super) fn load(source: Source) -> Result<(Self, CertifiedKey), Error> {
        let loaded = stamps(&source);
        let key = source.load()?;
        let seen = Seen { loaded, changed: None, failure: None };
        Ok((Self { source, seen: Arc::new(Mutex::new(seen)) }, key))
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.source.files()
    }

    fn stamps(&self) -> Option<Vec<Stamp>> {
        stamps(&self.source)
    }
}

/// `None` when a file is missing, or not a file.
fn stamps(source: &Source) -> Option<Vec<Stamp>> {
    source.files().map(Stamp::of).collect()
}

/// Changes whenever the content does.
#[derive(PartialEq, Eq)]
struct Stamp {
    /// With all links resolved.
    path: PathBuf,
    length: u64,
    marks: [i64; 6],
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let path = fs::canonicalize(path).ok()?;
        let metadata = fs::metadata(&path).ok().filter(Metadata::is_file)?;
        Some(Self { path, length: metadata.len(), marks: marks(&metadata) })
    }
}

/// The change time too, since a copy may keep the modification time of its original.
#[cfg(unix)]
fn marks(metadata: &Metadata) -> [i64; 6] {
    use std::os::unix::fs::MetadataExt;

    [
        metadata.dev().cast_signed(),
        metadata.ino().cast_signed(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ]
}

#[cfg(not(unix))]
fn marks(metadata: &Metadata) -> [i64; 6] {
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let modified = modified.unwrap_or_default();
    [0, 0, modified.as_secs().cast_signed(), i64::from(modified.subsec_nanos()), 0, 0]
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
