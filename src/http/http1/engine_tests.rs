//! The engine with arbitrary clients and handlers: what it shows the app is what hyper would, in whatever pieces it comes,
//! and what it writes is what hyper's client reads back.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends, and fuzzing is one")]

use std::convert::Infallible;
#[cfg(feature = "test-util")]
use std::pin::Pin;
use std::sync::{Arc, Mutex};
#[cfg(feature = "test-util")]
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::OriginalUri;
use axum::response::Response;
use http::{HeaderMap, Request, StatusCode};
#[cfg(feature = "test-util")]
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::service_fn;

use super::hyper_tests::{Message, messages};
use crate::connection::ConnectionInfo;
use crate::http::rules::Rules;
use crate::http::upgrade::UpgradeLimit;
use crate::limits::{Http1Parsing, Limits};
use crate::protocols::Protocols;
use crate::transport::{BoxIo, Peer, ResetOnDrop};

/// What a handler does with the body of its request.
#[derive(Clone, Copy)]
enum Behaviour {
    Reads,
    Ignores,
    ReadsOnce,
    /// It answers at once, and another task has the body.
    HandsOver,
}

fn info() -> ConnectionInfo {
    ConnectionInfo::new("test".into(), None, Peer::Unknown, ResetOnDrop::default())
}

/// What the app saw, and what the client got, when `octets` came in pieces of `piece`.
async fn serve(
    octets: &[u8],
    piece: usize,
    rules: Arc<Rules>,
    behaviour: Behaviour,
) -> (Vec<Message>, String) {
    let (client, server) = tokio::io::duplex(1 << 20);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let mut app = service_fn(move |request: Request<Body>| {
        let log = Arc::clone(&log);
        async move { Ok::<_, Infallible>(handle(request, behaviour, &log).await) }
    });
    let run = async {
        let info = info();
        super::serve(BoxIo::new(server), &info, &mut app, &rules, &UpgradeLimit::new(None)).await
    };
    let (mut read, mut write) = tokio::io::split(client);
    let send = async {
        for piece in octets.chunks(piece.max(1)) {
            if write.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let _ = write.shutdown().await;
    };
    let receive = async {
        let mut answers = Vec::new();
        let _ = read.read_to_end(&mut answers).await;
        String::from_utf8_lossy(&answers).into_owned()
    };
    let (_, (), answers) = tokio::join!(run, send, receive);
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (seen, answers)
}

async fn handle(request: Request<Body>, behaviour: Behaviour, log: &Mutex<Vec<Message>>) -> Response {
    let (parts, mut body) = request.into_parts();
    let target = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0).to_string();
    let mut message = Message {
        method: parts.method.to_string(),
        target,
        // One that a Transfer-Encoding overruled is there under another name.
        header_lines: parts.headers.len() - usize::from(parts.headers.contains_key("x-content-length")),
        body: Ok(0),
        trailer_lines: 0,
    };
    let mut answer = "answer".to_owned();
    match behaviour {
        Behaviour::Reads => match body.collect().await {
            Ok(body) => {
                message.trailer_lines = body.trailers().map_or(0, HeaderMap::len);
                message.body = Ok(body.to_bytes().len());
                answer = format!("{:?}", message.body);
            }
            Err(error) => {
                message.body = Err(error.to_string());
                "broken".clone_into(&mut answer);
            }
        },
        Behaviour::Ignores => {}
        Behaviour::ReadsOnce => drop(body.frame().await),
        Behaviour::HandsOver => drop(tokio::spawn(body.collect())),
    }
    log.lock().unwrap().push(message);
    // Not a success: a CONNECT would be a tunnel.
    let mut response = Response::new(Body::from(answer));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// The first two octets choose rules, pieces and the handler's behaviour; the rest comes from the client.
pub(crate) async fn engine_agrees_with_hyper(input: &[u8]) -> Result<usize, String> {
    let Some(([choice, piece], octets)) = input.split_first_chunk() else { return Ok(0) };
    let parsing = if choice & 1 == 1 { Http1Parsing::Strict } else { Http1Parsing::Compatible };
    let limits = Limits::default().http1_parsing(parsing);
    let rules = Arc::new(Rules::new(&limits, Protocols::HTTP1));
    let behaviour = match choice >> 1 & 3 {
        0 => Behaviour::Reads,
        1 => Behaviour::Ignores,
        2 => Behaviour::ReadsOnce,
        _ => Behaviour::HandsOver,
    };
    let expected = messages(octets, &rules.head).await?;
    let (seen, answers) = serve(octets, usize::from(*piece), rules, behaviour).await;
    let least = expected.iter().position(|(_, goes_on)| !goes_on).map_or(expected.len(), |last| last + 1);
    if seen.len() < least {
        return Err(format!("{} of {least} requests reached the app: {answers:?}", seen.len()));
    }
    for (seen, (expected, _)) in seen.iter().zip(&expected[..least]) {
        let same_body = !matches!(behaviour, Behaviour::Reads)
            || seen.body == expected.body && seen.trailer_lines <= expected.trailer_lines;
        let own_length = seen.header_lines != expected.header_lines;
        if (&seen.method, &seen.target) != (&expected.method, &expected.target) || own_length || !same_body {
            return Err(format!("ours {seen:?}\nhyper's {expected:?}"));
        }
    }
    Ok(least)
}

/// The answers do not depend on how the requests were cut; the first octet is the size of the pieces.
pub(crate) async fn answers_do_not_depend_on_pieces(input: &[u8]) -> Result<(), String> {
    let Some((piece, octets)) = input.split_first() else { return Ok(()) };
    let rules = Arc::new(Rules::new(&Limits::default(), Protocols::HTTP1));
    let whole = serve(octets, octets.len(), Arc::clone(&rules), Behaviour::Reads).await.1;
    let cut = serve(octets, usize::from(*piece), rules, Behaviour::Reads).await.1;
    // Neither the time of day nor whether the body had begun to come is what is compared.
    let compared = |answers: &str| {
        let answers = answers.replace("HTTP/1.1 100 Continue\r\n\r\n", "");
        let lines = answers.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
        lines.collect::<Vec<_>>().join("\n")
    };
    // A body that ends early is answered or not, as the end of the stream is seen before or after.
    let same = compared(&whole) == compared(&cut) || whole.contains("broken") || cut.contains("broken");
    if same { Ok(()) } else { Err(format!("whole: {whole}\ncut: {cut}")) }
}

/// A body of these pieces, whose length is not known.
#[cfg(feature = "test-util")]
struct Pieces(std::vec::IntoIter<Bytes>);

#[cfg(feature = "test-util")]
impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|piece| Ok(Frame::data(piece))))
    }
}

/// An answer that octets describe: status, what it says of its length, and the pieces of its body; and that body.
#[cfg(feature = "test-util")]
fn answer(input: &[u8]) -> (Response, Vec<u8>) {
    let (choice, sizes) = input.split_first().unwrap_or((&0, &[]));
    let statuses = [200, 200, 201, 204, 205, 304, 404, 500];
    let pieces: Vec<Bytes> = sizes.iter().map(|size| vec![b'x'; usize::from(*size) * 97].into()).collect();
    let whole = pieces.concat();
    let body =
        if choice & 8 == 0 { Body::from(whole.clone()) } else { Body::new(Pieces(pieces.into_iter())) };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(statuses[usize::from(choice & 7)]).unwrap();
    let headers = response.headers_mut();
    if choice & 16 != 0 {
        headers.insert("content-length", whole.len().into());
    }
    if choice & 32 != 0 {
        headers.insert("transfer-encoding", "chunked".parse().unwrap());
    }
    if choice & 64 != 0 {
        headers.insert("connection", "keep-alive".parse().unwrap());
    }
    (response, whole)
}

/// What answers were made of is what hyper's client reads, one after the other on one connection. Each eight octets are an
/// answer.
#[cfg(feature = "test-util")]
pub(crate) async fn answers_are_read_back(input: &[u8]) -> Result<(), String> {
    let (client, server) = tokio::io::duplex(1 << 16);
    let next = Arc::new(Mutex::new(input.chunks(8).map(<[u8]>::to_vec).collect::<Vec<_>>().into_iter()));
    let asked = Arc::clone(&next);
    let mut app = service_fn(move |_: Request<Body>| {
        let (response, _) = answer(&asked.lock().unwrap().next().unwrap_or_default());
        async move { Ok::<_, Infallible>(response) }
    });
    let rules = Arc::new(Rules::new(&Limits::default(), Protocols::HTTP1));
    let run = async {
        let info = info();
        super::serve(BoxIo::new(server), &info, &mut app, &rules, &UpgradeLimit::new(None)).await
    };
    let ask = async {
        let io = hyper_util::rt::TokioIo::new(client);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(io).await.map_err(|error| error.to_string())?;
        let talk = async move {
            for described in input.chunks(8) {
                let is_head = described[0] & 128 != 0;
                let request =
                    Request::builder().method(if is_head { "HEAD" } else { "GET" }).header("host", "a");
                let request = request.uri("/").body(Body::empty()).unwrap();
                let (made, whole) = answer(described);
                let error = |error: hyper::Error| format!("{error:?} for {described:?}");
                sender.ready().await.map_err(error)?;
                let got = sender.send_request(request).await.map_err(error)?;
                let status = made.status().as_u16();
                // A length of what may have no body is the handler's mistake.
                let is_refused = got.status() == 500 && matches!(status, 204 | 205) && described[0] & 16 != 0;
                if got.status() != status && !is_refused {
                    return Err(format!("{} for {described:?}", got.status()));
                }
                let got = got.into_body().collect().await.map_err(error)?.to_bytes();
                let has_none = is_head || matches!(status, 204 | 205 | 304);
                if got != if has_none { &[][..] } else { &whole } {
                    return Err(format!("{} octets for {described:?}", got.len()));
                }
            }
            Ok(())
        };
        // The connection is over when nobody can ask any more.
        let (result, _) = tokio::join!(talk, connection);
        result
    };
    tokio::join!(run, ask).1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marsaglia's xorshift: the same cases on every run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 16).unwrap() % end
        }

        fn octet(&mut self) -> u8 {
            u8::try_from(self.below(256)).unwrap()
        }
    }

    const REQUESTS: [&str; 14] = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a/../b HTTP/1.1\r\nHost: a\r\nX: y\r\nX: z\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: t\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "\r\n",
    ];

    /// Some requests, with up to three octets changed.
    fn requests(random: &mut Random) -> Vec<u8> {
        let mut input = vec![random.octet(), random.octet()];
        for _ in 0..=random.below(5) {
            input.extend_from_slice(REQUESTS[random.below(REQUESTS.len())].as_bytes());
        }
        for _ in 0..random.below(8).saturating_sub(4) {
            let at = 2 + random.below(input.len() - 2);
            input[at] = random.octet();
        }
        input
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_what_hyper_would_show() {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut passed = 0;
        for _ in 0..1500 {
            let input = requests(&mut random);
            let result = engine_agrees_with_hyper(&input).await;
            passed += result.unwrap_or_else(|why| panic!("{why}\n{:?}", input.escape_ascii().to_string()));
        }
        assert!(passed > 1500, "only {passed} requests passed");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_do_not_depend_on_how_requests_were_cut() {
        let mut random = Random(0x2545_F491_4F6C_DD1D);
        for _ in 0..800 {
            let input = requests(&mut random);
            let result = answers_do_not_depend_on_pieces(&input[1..]).await;
            result.unwrap_or_else(|why| panic!("{why}\n{}", input.escape_ascii()));
        }
    }

    #[cfg(feature = "test-util")]
    #[tokio::test(start_paused = true)]
    async fn hypers_client_reads_what_answers_were_made_of() {
        let mut random = Random(0x1234_5678_9ABC_DEF1);
        for _ in 0..400 {
            let input: Vec<u8> = (0..random.below(48)).map(|_| random.octet()).collect();
            answers_are_read_back(&input).await.unwrap_or_else(|why| panic!("{why}\n{input:?}"));
        }
    }
}
