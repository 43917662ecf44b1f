//! A tower toolkit that lets an axum `Router` stand on the open internet with no proxy in front.

mod error;
mod protocols;

pub mod limits;

mod telemetry;

mod transport;

pub mod connection;

#[cfg(feature = "tls")]
pub mod tls;

pub mod request;

mod http;

pub mod listener;

mod server;

#[cfg(feature = "test-util")]
pub mod test;

pub use connection::{ConnectionInfo, TlsInfo};
pub use error::{BoxError, Error};
pub use limits::{Http2Limits, Limits, MinDataRate};
pub use listener::{Endpoint, KestrelListener};
pub use protocols::Protocols;
pub use request::{RequestAborted, RequestId, RequestTrailers, Reset, ResponseTrailers, SynchronousIo};
pub use server::{HttpService, Serve, serve};
#[cfg(feature = "tls")]
pub use tls::{Certificate, ClientCertificates, TlsOptions};

#[doc(inline)]
pub use http::GuardedStream;
#[doc(inline)]
pub use server::AxumListener;

#[cfg(fuzzing)]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod fuzzing {
    use crate::http::http1::head::HeadRules;
    use crate::http::http1::hyper_tests;
    use crate::limits::{Http1Parsing, Limits};

    /// How the gate and hyper disagree about `octets`, if they do.
    pub async fn agrees_with_hyper(octets: &[u8], strict: bool) -> Result<usize, String> {
        let parsing = if strict { Http1Parsing::Strict } else { Http1Parsing::Compatible };
        let rules = HeadRules::new(&Limits::default().http1_parsing(parsing));
        hyper_tests::agrees_with_hyper(octets, &rules).await
    }
}
