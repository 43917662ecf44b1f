//! Drives one connection: hyper, the gate around its stream, and the one timer.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::exchange::Exchanges;
use super::gate::{Arrival, Gate};
use super::shared::{GateStream, Shared};
use super::timer::Timer;
use super::waker::remember;
use crate::connection::ConnectionInfo;
use crate::http::exchange::extensions;
use crate::http::rules::Rules;
use crate::http::upgrade::UpgradeLimit;
use crate::http::{App, http2};
use crate::telemetry::events;
use crate::transport::BoxIo;

type Hyper<S> = Pin<Box<http1::UpgradeableConnection<TokioIo<GateStream>, Exchanges<S>>>>;

/// A connection that speaks HTTP/1, until it ends or turns out to speak HTTP/2.
pub(crate) struct Driver<S: App> {
    app: S,
    info: ConnectionInfo,
    rules: Arc<Rules>,
    shared: Shared,
    stage: Stage<S>,
    waits: Waits,
    /// When the state that `waits` names began.
    since: Instant,
    timer: Timer,
    /// The server wants the connection to end, and the gate knows.
    closing: bool,
    waker: Option<Waker>,
}

enum Stage<S: App> {
    /// No hyper: nothing has come yet, or the connection has been idle for a while.
    Asleep,
    Serving(Hyper<S>),
    /// The last octets and the end of the stream are being written.
    Closing,
    /// All is written; the client may still be sending what nobody reads.
    Lingering,
    /// Upgraded. The stream is with the handler; here is only its end.
    Tunnel,
    Done,
}

/// What a connection waits for, as far as time matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::enum_variant_names, reason = "they are read as `Waits::ForRequest`")]
enum Waits {
    /// For us.
    ForHandler,
    /// For a request, after so many.
    ForRequest(u64),
    ForRestOfHead(u64),
    ForUnreadBody(u64),
    ForEndOfStream,
}

/// What comes out of a connection.
pub(crate) enum Outcome {
    Closed,
    /// It began with the preface of HTTP/2: its stream, and what was read of it.
    Http2(BoxIo, BytesMut),
}

/// How long an unread body is read, and a client listened to that we are done with: Kestrel's
/// time for draining.
const DRAIN: Duration = Duration::from_secs(5);

/// After this time without a request hyper and its buffers are let go of: they cost 17 KiB, and to
/// make them again half a microsecond, which so often is nothing.
const SLEEP: Duration = Duration::from_millis(100);

impl<S: App> Driver<S> {
    pub(crate) fn new(
        io: BoxIo,
        info: ConnectionInfo,
        app: S,
        rules: Arc<Rules>,
        upgrades: Arc<UpgradeLimit>,
    ) -> Self {
        Self {
            app,
            shared: Shared::new(Gate::new(io, rules.clone()), info.clone(), upgrades),
            info,
            rules,
            stage: Stage::Asleep,
            waits: Waits::ForHandler,
            since: Instant::now(),
            timer: Timer::default(),
            closing: false,
            waker: None,
        }
    }

    /// What a connection of HTTP/2 is served with.
    pub(crate) fn http2_server(&self) -> http2::Server<S> {
        let (info, app) = (self.info.clone(), self.app.clone());
        http2::Server::new(info, app, self.rules.clone(), Arc::clone(self.shared.upgrades()))
    }

    fn hyper(&self) -> Hyper<S> {
        let mut state = self.shared.lock();
        state.stream_dropped = false;
        state.gate.reader_waits = false;
        drop(state);
        let exchanges = Exchanges {
            app: RefCell::new(self.app.clone()),
            shared: self.shared.clone(),
            extensions: extensions(&self.info),
        };
        let mut builder = http1::Builder::new();
        builder
            .half_close(true) // the end that the gate shows must not cancel a running answer
            .allow_multiple_spaces_in_request_line_delimiters(true)
            .header_read_timeout(None) // the gate keeps time
            .max_header_size(self.rules.hyper_buffer)
            .max_buf_size(self.rules.hyper_buffer);
        if let Some(max) = self.rules.hyper_max_headers {
            builder.max_headers(max);
        }
        let stream = TokioIo::new(self.shared.stream());
        Box::pin(builder.serve_connection(stream, exchanges).with_upgrades())
    }

    /// Takes the next step; `Pending` when there is none before something happens.
    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        loop {
            match &mut self.stage {
                Stage::Asleep => {
                    let mut state = self.shared.lock();
                    let arrival = std::task::ready!(state.gate.poll_arrival(cx));
                    drop(state);
                    self.stage = match arrival {
                        Ok(Arrival::Request) => Stage::Serving(self.hyper()),
                        Ok(Arrival::End) => Stage::Closing,
                        Ok(Arrival::Http2) => {
                            self.stage = Stage::Done;
                            return Poll::Ready(Some(self.take_stream()));
                        }
                        Err(_) => Stage::Done,
                    };
                }
                Stage::Serving(hyper) => {
                    let result = hyper.as_mut().poll(cx);
                    if self.info.wants_abort() {
                        return Poll::Pending; // and nothing of what was gathered is written
                    }
                    // The lock is let go of before hyper is dropped: hyper's parts take it.
                    let next = match result {
                        Poll::Ready(_) if self.shared.lock().gate.is_tunnel() => Stage::Tunnel,
                        Poll::Ready(Ok(())) => Stage::Closing,
                        Poll::Ready(Err(error)) => {
                            events::connection_failed(&self.info, &error);
                            self.shared.lock().client_gone();
                            Stage::Closing
                        }
                        Poll::Pending => {
                            let mut state = self.shared.lock();
                            let again = state.poll_around_hyper(cx);
                            // hyper may still have some of the last answer.
                            let is_over = state.came_behind_last && !state.gate.output.is_busy();
                            drop(state);
                            match again {
                                Ok(true) => continue,
                                Ok(false) if is_over => Stage::Closing,
                                Ok(false) => return Poll::Pending,
                                Err(error) => {
                                    events::connection_failed(&self.info, &error);
                                    self.shared.lock().client_gone();
                                    Stage::Done
                                }
                            }
                        }
                    };
                    self.stage = next;
                }
                Stage::Closing => {
                    let mut state = self.shared.lock();
                    let closed = std::task::ready!(state.gate.poll_shutdown(cx));
                    let linger = closed.is_ok() && state.gate.has_unread();
                    self.stage = if linger { Stage::Lingering } else { Stage::Done };
                }
                Stage::Lingering => {
                    std::task::ready!(self.shared.lock().gate.poll_discard(cx));
                    self.stage = Stage::Done;
                }
                Stage::Tunnel => {
                    if !self.shared.lock().stream_dropped {
                        return Poll::Pending;
                    }
                    self.stage = Stage::Done;
                }
                Stage::Done => return Poll::Ready(Some(Outcome::Closed)),
            }
        }
    }

    /// Acts when the time for what the connection waits for is over; `true` if it did.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> bool {
        let mut state = self.shared.lock();
        let waits = match self.stage {
            // How long an answer may be on its way is a matter of its rate alone.
            _ if state.gate.output.is_busy() => Waits::ForHandler,
            Stage::Closing | Stage::Lingering => Waits::ForEndOfStream,
            Stage::Asleep | Stage::Serving(_) if state.current.is_none() => {
                if state.unread.is_some() || !state.gate.is_at_head() {
                    Waits::ForUnreadBody(state.number)
                } else if state.gate.has_partial_head() && self.rules.http1 {
                    Waits::ForRestOfHead(state.number)
                } else {
                    Waits::ForRequest(state.number)
                }
            }
            _ => Waits::ForHandler,
        };
        let now = state.gate.output.now.take();
        if waits != self.waits {
            self.waits = waits;
            self.since = now.unwrap_or_else(Instant::now);
        }
        let patience = match waits {
            Waits::ForHandler => None,
            Waits::ForRequest(_) => self.rules.keep_alive,
            Waits::ForRestOfHead(_) => self.rules.request_headers,
            Waits::ForUnreadBody(_) | Waits::ForEndOfStream => Some(DRAIN),
        };
        let output = state.gate.output.deadline();
        // While an answer is on its way, the rate at which it is taken is what counts.
        let deadline = match output {
            Some(_) => None,
            None => patience.and_then(|patience| self.since.checked_add(patience)),
        };
        let sleep = matches!((&self.stage, waits), (Stage::Serving(_), Waits::ForRequest(_)))
            .then(|| self.since + SLEEP);
        let Some(next) = [deadline, output, sleep].into_iter().flatten().min() else { return false };
        if self.timer.poll(next, cx).is_pending() {
            return false;
        }
        let now = Instant::now();
        if output.is_some_and(|output| output <= now) {
            drop(state);
            events::response_too_slow(&self.info);
            self.info.abort();
        } else if deadline.is_some_and(|deadline| deadline <= now) {
            match waits {
                Waits::ForRestOfHead(_) => {
                    state.gate.time_out();
                    drop(state);
                    self.stage = Stage::Closing;
                }
                Waits::ForUnreadBody(_) => {
                    drop(state);
                    self.info.abort();
                }
                Waits::ForEndOfStream => {
                    drop(state);
                    self.stage = Stage::Done;
                }
                Waits::ForRequest(_) | Waits::ForHandler => {
                    drop(state);
                    self.stage = Stage::Closing;
                }
            }
        } else if state.gate.reader_waits {
            // hyper has nothing in its buffers when it waits for a head.
            state.gate.shrink();
            drop(state);
            self.stage = Stage::Asleep;
        } else {
            return false;
        }
        true
    }

    /// The server, or the handler, wants the connection to end.
    fn close_if_wanted(&mut self) {
        let mut state = self.shared.lock();
        if !self.closing {
            self.closing = true;
            // What is pipelined behind the request in work is dropped; a head that had begun to
            // come before is awaited.
            state.gate.last_request |=
                state.current.is_some() || state.number > 0 && !state.gate.has_partial_head();
        }
        drop(state);
        if self.is_idle() {
            self.stage = Stage::Closing;
        }
    }

    /// Nothing is in work, nothing has begun to come, and hyper, if there is one, waits.
    fn is_idle(&self) -> bool {
        let state = self.shared.lock();
        let rests = match self.stage {
            Stage::Asleep => true,
            Stage::Serving(_) => state.gate.reader_waits,
            _ => false,
        };
        rests
            && state.current.is_none()
            && state.unread.is_none()
            && state.gate.is_at_head()
            && !state.gate.has_partial_head()
    }

    fn take_stream(&mut self) -> Outcome {
        let mut state = self.shared.lock();
        let ended = Gate::new(BoxIo::new(tokio::io::empty()), self.rules.clone());
        let (io, read) = std::mem::replace(&mut state.gate, ended).into_stream();
        Outcome::Http2(io, read)
    }

    /// Ends everything at once. Who still holds a part of the connection finds it ended.
    fn end(&mut self) {
        self.shared.lock().client_gone(); // before hyper lets go of the answer, and so of the request
        self.stage = Stage::Done;
        let mut state = self.shared.lock();
        let refused = state.gate.take_refused();
        state.gate.cut();
        let left = (state.current.take(), state.unread.take());
        drop(state);
        if let Some(rejection) = refused {
            events::bad_request(&self.info, &rejection, rejection.status().as_u16());
        }
        drop(left);
    }
}

/// Nothing in it is pinned but what is in a box.
impl<S: App> Unpin for Driver<S> {}

impl<S: App> Future for Driver<S> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        if remember(&mut this.waker, cx) {
            this.info.set_driver(cx.waker());
            this.shared.lock().driver = Some(cx.waker().clone());
        }
        loop {
            if this.info.wants_abort() {
                this.end();
            }
            if this.info.wants_close() {
                this.close_if_wanted();
            }
            if let Poll::Ready(Some(outcome)) = this.poll_stage(cx) {
                this.end();
                return Poll::Ready(outcome);
            }
            let again = this.info.wants_abort() || this.info.wants_close() && this.is_idle();
            if !again && !this.poll_time(cx) {
                return Poll::Pending;
            }
        }
    }
}

impl<S: App> Drop for Driver<S> {
    fn drop(&mut self) {
        self.end();
    }
}
