//! The secrets that sign the demo's callbacks: one for the back office, whichever of its
//! credentials gives the URLs, and one for each user.
//!
//! What signs is what counts: when somebody has rotated a secret, the next start tells the new one.

use bursar_app::{
    App, Error, Grant, NewCallbackSecret, callback_secret_text, read_callback_secret,
};
use bursar_domain::Subscriber;
use bursar_ports::CallbackSecret;

use super::Secrets;

/// Sees to it that subscribers share a secret, and remembers it under this name: what signs for the
/// first of them, else what was remembered, else a new one.
pub(super) async fn share(
    app: &App,
    admin: &Grant,
    secrets: &mut Secrets,
    name: &str,
    subscribers: Vec<Subscriber>,
) -> Result<(), Error> {
    let mut shared = None;
    for subscriber in subscribers {
        let signs = current(app, admin, subscriber.clone()).await?;
        let wanted = shared.or_else(|| signs.clone());
        let wanted = wanted.or_else(|| secrets.get(name).and_then(read_callback_secret));
        if wanted.is_none() || signs != wanted {
            let new = NewCallbackSecret {
                subscriber,
                secret: wanted,
            };
            let issued = app.issue_callback_secret(admin, new).await?;
            secrets.set(name, issued.text);
        } else if let Some(signs) = signs {
            secrets.set(name, callback_secret_text(&signs));
        }
        shared = secrets.get(name).and_then(read_callback_secret);
    }
    Ok(())
}

/// The secret that a subscriber's callbacks are signed with and that has no end, if it can be read.
async fn current(
    app: &App,
    admin: &Grant,
    subscriber: Subscriber,
) -> Result<Option<CallbackSecret>, Error> {
    let all = app
        .list_callback_secrets(admin, Some(subscriber), None, u32::MAX)
        .await?;
    let current = all.iter().find(|secret| secret.is_current());
    Ok(current.and_then(|secret| app.keyring().open_callback_secret(secret).ok()))
}
