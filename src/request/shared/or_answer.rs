//! The future of a layer that lets a request pass or answers it at once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;

pin_project_lite::pin_project! {
    /// The future of a layer that lets a request pass, or answers it at once.
    #[derive(Debug)]
    pub struct OrAnswer<F, B> {
        #[pin]
        state: OrAnswerState<F, B>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum OrAnswerState<F, B> {
        Pass { #[pin] inner: F },
        Answer { answer: Option<Response<B>> },
    }
}

impl<F, B> OrAnswer<F, B> {
    pub(in crate::request) fn pass(inner: F) -> Self {
        Self { state: OrAnswerState::Pass { inner } }
    }

    pub(in crate::request) fn answer(answer: Response<B>) -> Self {
        Self { state: OrAnswerState::Answer { answer: Some(answer) } }
    }
}

impl<F, B, E> Future for OrAnswer<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Pass { inner } => inner.poll(cx),
            StateProj::Answer { answer } => {
                Poll::Ready(Ok(answer.take().expect("a future is not polled once it is ready")))
            }
        }
    }
}
