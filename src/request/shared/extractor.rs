//! What the extractors of this module have in common.

/// Makes an extractor of a type that has a `find(&mut Parts) -> Result<Self, $rejection>`, and an
/// optional one.
macro_rules! extractor {
    ($type:ty, $rejection:ty) => {
        impl<S: Sync> axum::extract::FromRequestParts<S> for $type {
            type Rejection = $rejection;

            async fn from_request_parts(
                parts: &mut http::request::Parts,
                _: &S,
            ) -> Result<Self, Self::Rejection> {
                Self::find(parts)
            }
        }

        impl<S: Sync> axum::extract::OptionalFromRequestParts<S> for $type {
            type Rejection = std::convert::Infallible;

            async fn from_request_parts(
                parts: &mut http::request::Parts,
                _: &S,
            ) -> Result<Option<Self>, Self::Rejection> {
                Ok(Self::find(parts).ok())
            }
        }
    };
}
