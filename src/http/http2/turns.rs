//! Runs the streams of a connection by turns.
//!
//! A request that is answered at once needs no task of its own: its frames are encoded in the turn in which it came.
//! So each new stream is polled once in the connection's task. One that has to wait becomes a task; and where the
//! streams of a turn take long, the rest of them goes to tasks that other cores take over.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// A stream at work.
pub(super) type StreamTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long the streams of one turn may take before the rest is spread over the cores: some hundred small answers.
const BUDGET: Duration = Duration::from_micros(500);

/// For how many streams after a slow turn nothing is tried in the connection's task; it doubles while turns are slow.
const PENALTY: u32 = 16;
const MOST_PENALTY: u32 = 4096;

#[derive(Default)]
pub(super) struct Turns {
    new: VecDeque<StreamTask>,
    /// How many of the next streams go to other tasks at once.
    penalty: u32,
    next_penalty: u32,
}

impl Turns {
    pub(super) fn push(&mut self, stream: StreamTask) {
        self.new.push_back(stream);
    }

    /// A stream that may block on what has not come yet.
    pub(super) fn spawn(stream: StreamTask) {
        tokio::spawn(stream);
    }

    /// Polls what has come; whether there was anything.
    pub(super) fn run(&mut self) -> bool {
        if self.new.is_empty() {
            return false;
        }
        if self.penalty > 0 {
            let streams = u32::try_from(self.new.len()).unwrap_or(u32::MAX);
            self.penalty = self.penalty.saturating_sub(streams);
            spread(std::mem::take(&mut self.new));
            return true;
        }
        let begin = Instant::now();
        while let Some(stream) = self.new.pop_front() {
            first_poll(stream);
            if begin.elapsed() > BUDGET {
                self.next_penalty = (self.next_penalty * 2).clamp(PENALTY, MOST_PENALTY);
                self.penalty = self.next_penalty;
                spread(std::mem::take(&mut self.new));
                return true;
            }
        }
        self.next_penalty /= 2;
        true
    }

    /// An idle connection holds no buffer.
    pub(super) fn release(&mut self) {
        if self.new.is_empty() {
            self.new = VecDeque::new();
        }
    }
}

/// Polls a stream with nobody to wake: who has to wait is polled again, in a task.
fn first_poll(mut stream: StreamTask) {
    // As in a task of its own, a panic ends the stream alone.
    let polled = catch_unwind(AssertUnwindSafe(|| {
        stream.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }));
    if let Ok(false) = polled {
        tokio::spawn(stream);
    }
}

fn spread(streams: VecDeque<StreamTask>) {
    if streams.is_empty() {
        return;
    }
    tokio::spawn(chain(Arc::new(Mutex::new(streams))));
}

/// Polls streams one after the other; the next task that does the same waits to be taken by an idle core.
fn chain(streams: Arc<Mutex<VecDeque<StreamTask>>>) -> StreamTask {
    Box::pin(async move {
        let mut helped = false;
        loop {
            let (next, more) = {
                let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
                (streams.pop_front(), !streams.is_empty())
            };
            let Some(stream) = next else { return };
            if more && !helped {
                helped = true;
                tokio::spawn(chain(Arc::clone(&streams)));
            }
            first_poll(stream);
        }
    })
}
