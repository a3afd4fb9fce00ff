//! Reads the body of an HTTP answer up to a bound, so that the length of the answer cannot exhaust the
//! memory.

use reqwest::Response;

use super::root_cause;

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The body has more bytes than the bound. The value is the bound.
    #[error("an answer of more than {0} bytes")]
    TooLong(usize),
    /// The connection broke or timed out. The text of the error does not contain the address.
    #[error("{}", root_cause(.0))]
    Broken(reqwest::Error),
}

/// Reads the whole body, which may have at most `bound` bytes.
///
/// # Errors
/// See [`Unread`].
pub async fn body(mut response: Response, bound: usize) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Unread::Broken(error.without_url()))? {
        if bytes.len() + chunk.len() > bound {
            return Err(Unread::TooLong(bound));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
