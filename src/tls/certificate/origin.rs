//! Where certificates and keys come from: files or memory, and how an error names it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{BoxError, Error, ErrorKind};

/// A file or something in memory, with the word for what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    what: &'static str,
    path: Option<&'a Path>,
}

impl<'a> Origin<'a> {
    pub(super) fn file(what: &'static str, path: &'a Path) -> Self {
        Self { what, path: Some(path) }
    }

    pub(super) fn memory(what: &'static str) -> Self {
        Self { what, path: None }
    }

    /// The name of the file for a command that the reader can copy.
    pub(super) fn argument(&self) -> String {
        self.path.map_or_else(|| "FILE".to_owned(), |path| path.display().to_string())
    }

    /// Whether the name says that this is a PFX file.
    pub(super) fn looks_like_pfx(&self) -> bool {
        let extension = self.path.and_then(Path::extension);
        extension.is_some_and(|e| e.eq_ignore_ascii_case("pfx") || e.eq_ignore_ascii_case("p12"))
    }

    /// `problem` says what is wrong and what to do.
    pub(super) fn error(&self, problem: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Certificate, format!("{self}: {problem}"))
    }

    pub(super) fn caused(&self, problem: impl fmt::Display, source: impl Into<BoxError>) -> Error {
        self.error(problem).with_source(source)
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path {
            Some(path) => write!(f, "{} file '{}'", self.what, path.display()),
            None => write!(f, "{} given in memory", self.what),
        }
    }
}

/// Reads a whole file; an error says what to do about the common causes.
pub(super) fn read(origin: Origin<'_>) -> Result<Vec<u8>, Error> {
    let path = origin.path.unwrap_or(Path::new(""));
    fs::read(path).map_err(|error| unreadable(origin, error))
}

fn unreadable(origin: Origin<'_>, error: io::Error) -> Error {
    let problem = match error.kind() {
        io::ErrorKind::NotFound => "does not exist; give an absolute path, or one from the working folder",
        io::ErrorKind::PermissionDenied => {
            "may not be read by the user that runs this program; change its owner, group or mode"
        }
        io::ErrorKind::IsADirectory => "is a folder; give the path of a file",
        _ => "cannot be read",
    };
    origin.caused(problem, error)
}

/// The path from the root, since the program may change its working folder between two loads.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests may run as root, who may read everything.
    #[test]
    fn a_file_that_may_not_be_read_is_named() {
        let origin = Origin::file("private key", Path::new("/etc/site.key"));
        let error = unreadable(origin, io::ErrorKind::PermissionDenied.into()).to_string();
        assert!(error.contains("'/etc/site.key'") && error.contains("may not be read"), "{error}");
    }
}
