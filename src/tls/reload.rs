//! Follows files, and makes anew what was made of them.
//!
//! One look is a `stat` of each file, links followed, every [`PERIOD`]. It is polling on purpose:
//! notifications of the system do not reach network mounts and bind mounts of single files, do not follow
//! links, and get lost when a folder is replaced as a whole, which is just how Kubernetes swaps a secret.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::error::Error;

/// Between two looks. Kestrel notices a change after 3 to 8 seconds.
pub(super) const PERIOD: Duration = Duration::from_secs(5);

/// How long changed files must stand still before they are read: writing two files takes a moment.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// What is made of files, and can be made anew.
pub(super) trait FromFiles: Send + Sync + 'static {
    type Made;

    /// `None`: there are no files, or they are not followed.
    fn watched(&self) -> Option<&WatchedFiles>;

    /// Reads the files; blocks while it does.
    fn make(&self) -> Result<Self::Made, Error>;

    /// From now on this one is used.
    fn take(&self, made: Self::Made);

    /// The files have changed and are of no use; what was made before stays.
    fn keep(&self, error: &Error);
}

/// Something that follows its files while this is polled.
pub(super) type Watch = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Follows the files until it is dropped; `None` if there are none. To be spawned once the endpoint is
/// bound. Where the same is watched twice, one of them looks, and the next takes over when it is gone.
pub(super) fn watch<T: FromFiles>(made: &Arc<T>) -> Option<Watch> {
    made.watched()?;
    Some(Box::pin(follow(Arc::clone(made))))
}

/// What an endpoint was given that may follow files.
#[derive(Clone)]
pub(crate) struct Followed(Arc<dyn Fn() -> Option<Watch> + Send + Sync>);

impl Followed {
    pub(super) fn new<T: FromFiles>(made: Arc<T>) -> Self {
        Self(Arc::new(move || watch(&made)))
    }

    /// Follows the files until it is dropped; `None` if there are none.
    pub(crate) fn watch(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        (self.0)()
    }
}

impl std::fmt::Debug for Followed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Followed").finish_non_exhaustive()
    }
}

async fn follow<T: FromFiles>(made: Arc<T>) {
    let Some(watched) = made.watched() else { return };
    let mut seen = watched.seen.clone().lock_owned().await;
    let mut pause = PERIOD;
    loop {
        sleep(pause).await;
        let made = made.clone();
        let log = tracing::dispatcher::get_default(Clone::clone);
        // A mount that hangs must not hold up a worker.
        let looked = spawn_blocking(move || {
            let next = tracing::dispatcher::with_default(&log, || look(&*made, &mut seen));
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
fn look<T: FromFiles>(made: &T, seen: &mut Seen) -> Duration {
    let Some(watched) = made.watched() else { return PERIOD };
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
    let loaded = made.make();
    if watched.stamps().as_ref() != Some(&stamps) {
        // What was read may be one file of before and one of after.
        seen.changed = None;
        return SETTLE;
    }
    match loaded {
        Ok(loaded) => {
            seen.failure = None;
            made.take(loaded);
        }
        Err(error) => {
            let text = format!("{error:?}");
            // Tried again at each look; said once.
            if seen.failure.as_ref() != Some(&text) {
                made.keep(&error);
                seen.failure = Some(text);
            }
        }
    }
    seen.loaded = Some(stamps);
    seen.changed = None;
    PERIOD
}

/// Files and how they looked when they were last read.
pub(super) struct WatchedFiles {
    files: Vec<PathBuf>,
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

impl WatchedFiles {
    /// To be made before the files are read for the first time: what changes in between is noticed.
    pub(super) fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let files: Vec<_> = files.into_iter().collect();
        let seen = Seen { loaded: stamps(&files), changed: None, failure: None };
        Self { files, seen: Arc::new(Mutex::new(seen)) }
    }

    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    fn stamps(&self) -> Option<Vec<Stamp>> {
        stamps(&self.files)
    }
}

/// `None` when a file is missing, or not a file.
fn stamps(files: &[PathBuf]) -> Option<Vec<Stamp>> {
    files.iter().map(|file| Stamp::of(file)).collect()
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
