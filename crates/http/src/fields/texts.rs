//! Texts, ids and lists of them.

use bursar_app::CallbackUrlPolicy;
use bursar_domain::{ActorId, AssetId, Timestamp, UserId};
use bursar_ports::{Permission, WATCH};
use uuid::Uuid;

use super::{Fields, Name};
use crate::json::Text;

/// What a text may consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prose {
    /// One line: no control characters at all.
    Line,
    /// Several lines; only the null character, which PostgreSQL cannot hold, is refused.
    Lines,
}

impl Fields<'_> {
    /// A text that may be missing.
    pub(crate) fn text(&mut self, name: &Name, chars_max: usize, prose: Prose) -> Option<String> {
        let text = self.string(name)?;
        self.checked(name, text, chars_max, prose)
    }

    /// A text that must be there and not empty.
    pub(crate) fn required_text(&mut self, name: &Name, chars_max: usize) -> Option<String> {
        let text = self.required_string(name)?;
        self.checked(name, text, chars_max, Prose::Line)
    }

    /// Whom a credential stands for: a text that must be there, and nobody that Bursar itself is in its
    /// records.
    pub(crate) fn subject(&mut self, name: &Name, chars_max: usize) -> Option<String> {
        let text = self.required_text(name, chars_max)?;
        let system = ActorId::system();
        let own = [WATCH, system.as_str()];
        if own.iter().any(|own| own.eq_ignore_ascii_case(text.trim())) {
            return self.invalid(name, "must not be a name under which Bursar itself acts");
        }
        Some(text)
    }

    /// A text that must be there but may be empty.
    pub(crate) fn present_text(&mut self, name: &Name, chars_max: usize) -> Option<String> {
        self.required(name, |fields, name| {
            fields.text(name, chars_max, Prose::Line)
        })
    }

    fn checked(
        &mut self,
        name: &Name,
        text: String,
        chars_max: usize,
        prose: Prose,
    ) -> Option<String> {
        let refused = match prose {
            Prose::Line => text.chars().any(char::is_control),
            Prose::Lines => text.contains('\0'),
        };
        if refused {
            return self.invalid(name, "must not contain control characters");
        }
        // A string has at least as many bytes as characters, and mostly that settles it.
        if text.len() > chars_max && text.chars().count() > chars_max {
            let detail = format!("must have at most {chars_max} characters");
            self.error(name.name, name.too_long, detail);
            return None;
        }
        Some(text)
    }

    /// The id of a user.
    pub(crate) fn user_id(&mut self, name: &Name) -> Option<UserId> {
        let text = self.required_string(name)?;
        self.guid(name, &text)
    }

    /// The id of a user that may be missing.
    pub(crate) fn optional_user_id(&mut self, name: &Name) -> Option<UserId> {
        let text = self.string(name)?;
        self.guid(name, &text)
    }

    /// A point in time that must be there.
    pub(crate) fn time(&mut self, name: &Name) -> Option<Timestamp> {
        let text = self.required_string(name)?;
        match Timestamp::parse(&text) {
            Ok(at) => Some(at),
            Err(_) => self.invalid(name, "must be an RFC 3339 date-time or date"),
        }
    }

    /// What a text that must be there means, or an error that says what it may be.
    pub(crate) fn one_of<T>(
        &mut self,
        name: &Name,
        read: impl FnOnce(&str) -> Option<T>,
        choice: &str,
    ) -> Option<T> {
        let text = self.required_string(name)?;
        read(&text).or_else(|| self.invalid(name, format!("must be one of {choice}")))
    }

    fn guid(&mut self, name: &Name, text: &str) -> Option<UserId> {
        match Uuid::parse_str(text) {
            Ok(id) => Some(UserId::new(id)),
            Err(_) => self.invalid(name, "must be a GUID"),
        }
    }

    /// The id of an asset.
    pub(crate) fn asset_id(&mut self, name: &Name) -> Option<AssetId> {
        let text = self.required_string(name)?;
        match AssetId::parse(&text) {
            Ok(id) => Some(id),
            Err(error) => self.invalid(name, error.to_string()),
        }
    }

    /// A callback URL that may be missing or empty. What is wrong with it is remembered.
    pub(crate) fn callback_url(
        &mut self,
        name: &Name,
        policy: &CallbackUrlPolicy,
    ) -> Option<String> {
        const CODE: &str = "callback_url.invalid";
        let raw = self.take(name)?;
        let Ok(Text(text)) = serde_json::from_str(raw.get()) else {
            self.error(name.name, CODE, "must be a string");
            return None;
        };
        match policy.parse(&text) {
            Ok(url) => url,
            Err(error) => {
                self.error(name.name, CODE, error.to_string());
                None
            }
        }
    }

    /// A callback URL that must be there.
    pub(crate) fn required_callback_url(
        &mut self,
        name: &Name,
        policy: &CallbackUrlPolicy,
    ) -> Option<String> {
        self.required(name, |fields, name| fields.callback_url(name, policy))
    }

    /// A list of strings that may be missing.
    pub(crate) fn strings(&mut self, name: &Name) -> Option<Vec<String>> {
        let raw = self.take(name)?;
        match serde_json::from_str(raw.get()) {
            Ok(list) => Some(list),
            Err(_) => self.invalid(name, "must be a list of strings"),
        }
    }

    /// A list of strings that must be there.
    pub(crate) fn required_strings(&mut self, name: &Name) -> Option<Vec<String>> {
        self.required(name, Self::strings)
    }

    /// A list of permissions, at least one, each once.
    pub(crate) fn permissions(&mut self, name: &Name) -> Option<Vec<Permission>> {
        let names = self.required_strings(name)?;
        let mut permissions = Vec::with_capacity(names.len());
        for text in names {
            match Permission::from_name(&text) {
                Some(permission) if !permissions.contains(&permission) => {
                    permissions.push(permission);
                }
                Some(_) => return self.invalid(name, "must not name a permission twice"),
                None => {
                    let known = Permission::ALL.map(Permission::as_str).join(", ");
                    return self.invalid(name, format!("must name permissions out of {known}"));
                }
            }
        }
        if permissions.is_empty() {
            return self.invalid(name, "must name at least one permission");
        }
        Some(permissions)
    }
}
