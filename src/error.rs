//! What can go wrong at the start: one opaque error that names the endpoint or the option.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// The error type that layers and bodies are generic over.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a server could not be set up.
///
/// A running server has no errors of its own: a bad request is answered, a broken connection ends
/// and is logged at debug. What this type reports is found before the first connection is
/// accepted, and its text names the endpoint or the option and says what to do. What the system or a
/// library said of it is its source, which the text does not repeat; `{:?}`, the form in which `main`
/// prints what it returns, is both.
///
/// In a function that returns an [`io::Error`] `?` makes it one: of the kind that the system gave,
/// else `InvalidInput`, for a certificate `InvalidData`.
///
/// # Example
///
/// ```
/// use kestrel_rs::{Endpoint, Error};
///
/// let error: Error = Endpoint::parse("http://localhost:abc").unwrap_err();
/// assert!(error.is_address());
/// assert!(error.to_string().contains("http://localhost:abc"));
/// ```
pub struct Error(Box<ErrorParts>);

struct ErrorParts {
    kind: ErrorKind,
    message: String,
    source: Option<BoxError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// The text of an address cannot be read, or means something that no server can listen on.
    Address,
    /// The operating system refused to listen.
    Bind,
    /// An option has a value that it cannot have, or two options contradict each other.
    Option,
    /// A certificate or its key cannot be read, or is not one that a server can use.
    #[cfg(feature = "tls")]
    Certificate,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorParts { kind, message: message.into(), source: None }))
    }

    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same, told of this place: an endpoint whose option is wrong.
    pub(crate) fn at(mut self, place: &dyn fmt::Display) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    /// Whether an address could not be understood.
    pub fn is_address(&self) -> bool {
        self.0.kind == ErrorKind::Address
    }

    /// Whether the system refused to listen on an address: in use, not local, no permission.
    pub fn is_bind(&self) -> bool {
        self.0.kind == ErrorKind::Bind
    }

    /// Whether an option has a value that it cannot have.
    pub fn is_option(&self) -> bool {
        self.0.kind == ErrorKind::Option
    }

    /// Whether a certificate or its key could not be read, or cannot be used by a server.
    #[cfg(feature = "tls")]
    pub fn is_certificate(&self) -> bool {
        self.0.kind == ErrorKind::Certificate
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

/// The message itself, since `main` prints the error that it returns in this form.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let mut source = self.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// For conversions that cannot fail, where others can.
impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let mut kind = error.0.kind.of_io();
        let mut next = error.source();
        while let Some(source) = next {
            if let Some(system) = source.downcast_ref::<Self>() {
                kind = system.kind();
                break;
            }
            next = source.source();
        }
        Self::new(kind, error)
    }
}

impl ErrorKind {
    /// Where the system had no part in it.
    fn of_io(self) -> io::ErrorKind {
        match self {
            Self::Address | Self::Option => io::ErrorKind::InvalidInput,
            Self::Bind => io::ErrorKind::Other,
            #[cfg(feature = "tls")]
            Self::Certificate => io::ErrorKind::InvalidData,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn becomes_an_io_error_of_the_kind_that_the_system_gave() {
        let error = |kind| Error::new(kind, "text");
        for (error, kind) in [
            (error(ErrorKind::Address), io::ErrorKind::InvalidInput),
            (error(ErrorKind::Option), io::ErrorKind::InvalidInput),
            (error(ErrorKind::Bind), io::ErrorKind::Other),
            (
                error(ErrorKind::Bind).with_source(io::Error::from(io::ErrorKind::AddrInUse)),
                io::ErrorKind::AddrInUse,
            ),
            (
                error(ErrorKind::Option).with_source(
                    error(ErrorKind::Bind).with_source(io::Error::from(io::ErrorKind::NotFound)),
                ),
                io::ErrorKind::NotFound,
            ),
        ] {
            let error = io::Error::from(error);
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, "text"));
            assert!(error.get_ref().unwrap().is::<Error>());
        }
    }
}
