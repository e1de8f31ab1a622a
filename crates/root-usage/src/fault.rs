//! A panic as an error: a fault of this program in one record must not cost the others.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;
use thiserror::Error;

/// A panic that was caught. The log has where it happened, from the panic itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a fault of this program: {0}")]
pub struct Fault(String);

impl Fault {
    fn new(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self(text.unwrap_or("a panic without a message").to_owned())
    }
}

impl From<&dyn std::error::Error> for Fault {
    fn from(error: &dyn std::error::Error) -> Self {
        Self(crate::error::chain(error))
    }
}

/// What a computation gives, or the panic that ended it.
///
/// # Errors
///
/// [`Fault`] if it panicked.
pub fn caught<T>(compute: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(compute)).map_err(|panic| Fault::new(&*panic))
}

/// The same for what is awaited.
///
/// # Errors
///
/// [`Fault`] if it panicked.
pub(crate) async fn caught_async<T>(compute: impl Future<Output = T>) -> Result<T, Fault> {
    AssertUnwindSafe(compute).catch_unwind().await.map_err(|panic| Fault::new(&*panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_its_message() {
        assert_eq!(caught(|| 1), Ok(1));
        let number = 7;
        for fault in [
            caught(|| panic!("broken")).unwrap_err(),
            caught(|| panic!("broken {number}")).unwrap_err(),
            caught_async(async { panic!("broken") }).await.unwrap_err(),
        ] {
            assert!(fault.to_string().starts_with("a fault of this program: broken"), "{fault}");
        }
    }
}
