//! Reads the body of an HTTP answer up to a bound: whoever answers decides how long it is, and we how much memory it takes.

use reqwest::Response;

use super::root_cause;

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// It has more bytes than the bound.
    #[error("an answer of more than {0} bytes")]
    TooLong(usize),
    /// The connection broke, or took too long. Without the address.
    #[error("{}", root_cause(.0))]
    Broken(reqwest::Error),
}

/// All of a body, of at most `bound` bytes.
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
