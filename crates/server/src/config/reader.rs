//! Reads settings one by one and remembers everything that is wrong.

use std::collections::BTreeSet;

use super::{
    ConfigError, ConfigErrors, Key, Origin, Profile, Setting, Sources,
    file::{ConfigFile, FileValue},
    parse,
    setting::{self, Default},
};

/// What a demo writes for shells, beside settings; whoever has sourced it may start Bursar too. These
/// names and no others: `BURSAR_PAYOUTS_URL` is a typing error, and whoever made it wants to know.
const DEMO_VARIABLES: [&str; 9] = [
    "BURSAR_URL",
    "BURSAR_ADMIN_TOKEN",
    "BURSAR_BACKOFFICE_TOKEN",
    "BURSAR_READONLY_TOKEN",
    "BURSAR_CALLBACK_SECRET",
    "BURSAR_CONSOLE_URL",
    "BURSAR_CONSOLE_PASSWORD",
    "BURSAR_DEMO_TOTP_SECRET",
    "BURSAR_SECOND_TOTP_SECRET",
];
/// The users of a demo, as its variables begin.
const DEMO_USERS: [&str; 3] = ["BURSAR_ALICE_", "BURSAR_BOB_", "BURSAR_CAROL_"];
/// What it writes of each of them.
const OF_DEMO_USER: [&str; 6] = [
    "ID",
    "EMAIL",
    "TOKEN",
    "ACCESS_KEY",
    "SECRET_KEY",
    "CALLBACK_SECRET",
];

/// How a parser says what is wrong; it must not repeat the value, which may be secret.
pub(super) type Parsed<T> = Result<T, String>;

/// A setting's values before they are parsed.
struct Raw {
    values: Vec<String>,
    origin: Origin,
}

pub(super) struct Reader<'a> {
    sources: &'a Sources,
    profile: Profile,
    read: BTreeSet<&'static str>,
    idle: Vec<String>,
    errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(sources: &'a Sources) -> Self {
        Self {
            sources,
            profile: Profile::Production,
            read: BTreeSet::new(),
            idle: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Reads the profile, which later defaults depend on.
    pub(super) fn profile(&mut self, setting: &Setting) -> Option<Profile> {
        let profile = self.value(setting, parse::profile)?;
        self.profile = profile;
        Some(profile)
    }

    /// Reads a setting that always has a value.
    pub(super) fn value<T>(
        &mut self,
        setting: &Setting,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<T> {
        let found = self.optional(setting, parse)?;
        if found.is_none() {
            let detail = format!(
                "is required: set {} or put {} in the file",
                setting.variable(),
                setting.key
            );
            self.wrong(setting.key, detail, Origin::Nowhere);
        }
        found
    }

    /// Reads a setting that may be missing; `None` = wrong.
    #[expect(
        clippy::option_option,
        reason = "wrong, missing and given are three things"
    )]
    pub(super) fn optional<T>(
        &mut self,
        setting: &Setting,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<Option<T>> {
        let Some(raw) = self.raw(setting)? else {
            return Some(None);
        };
        let [value] = raw.values.as_slice() else {
            self.wrong(setting.key, "takes one value".to_owned(), raw.origin);
            return None;
        };
        self.parsed(setting, value, &raw.origin, parse).map(Some)
    }

    /// Reads a setting that takes several values.
    pub(super) fn list<T>(
        &mut self,
        setting: &Setting,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<Vec<T>> {
        let raw = self.raw(setting)?;
        let empty = raw.as_ref().is_none_or(|raw| raw.values.is_empty());
        if empty && setting.default == Default::Required {
            return self.value(setting, parse).map(|value| vec![value]);
        }
        let Some(raw) = raw else {
            return Some(vec![]);
        };
        let parsed: Vec<Option<T>> = raw
            .values
            .iter()
            .map(|value| self.parsed(setting, value, &raw.origin, &parse))
            .collect();
        parsed.into_iter().collect()
    }

    /// Refuses a value that is well-formed but cannot be used.
    pub(super) fn refuse(&mut self, setting: &Setting, detail: &str) {
        let origin = match self.raw(setting) {
            Some(Some(raw)) => raw.origin,
            Some(None) | None => Origin::Nowhere,
        };
        self.wrong(setting.key, detail.to_owned(), origin);
    }

    /// Refuses keys that share a name: nobody could tell what is encrypted under which.
    pub(super) fn refuse_repeated_names(
        &mut self,
        setting: &Setting,
        keys: Option<&[(String, Key)]>,
    ) {
        let mut names = BTreeSet::new();
        for (name, _) in keys.unwrap_or_default() {
            if !names.insert(name) {
                self.refuse(setting, &format!("has two keys with the name {name}"));
            }
        }
    }

    /// Remembers of these settings which were given although they change nothing, and why they do not.
    /// That is no error: a file may keep them for when they do.
    pub(super) fn idle(&mut self, settings: &[&Setting], why: &str) {
        for setting in settings {
            if let Some(origin) = self.given(setting) {
                let key = setting.key;
                self.idle
                    .push(format!("{key} ({origin}) changes nothing: {why}"));
            }
        }
    }

    /// Where a setting was given, if it was.
    fn given(&self, setting: &Setting) -> Option<Origin> {
        if self.sources.fixed.contains_key(setting.key) {
            return Some(Origin::Command);
        }
        let variable = setting.variable();
        let text = self.sources.environment.get(&variable);
        if text.is_some_and(|text| !text.is_empty()) {
            return Some(Origin::Variable(variable));
        }
        let file = self.sources.file.as_ref()?;
        file.get(setting.key).map(|(_, origin)| origin)
    }

    /// What deserves a word and is no error.
    pub(super) fn warnings(&self) -> Vec<String> {
        let unknown = self.unknown_variables();
        self.idle.iter().cloned().chain(unknown).collect()
    }

    /// Variables that look like settings but are none. They are no error: an orchestrator may set
    /// variables of its own that begin with the service's name.
    fn unknown_variables(&self) -> Vec<String> {
        let known: BTreeSet<String> = setting::ALL.iter().map(|s| s.variable()).collect();
        self.sources
            .environment
            .keys()
            .filter(|name| !known.contains(*name) && *name != CONFIG_VARIABLE)
            .filter(|name| !is_of_demo(name))
            .map(|name| format!("the environment variable {name} is no setting"))
            .collect()
    }

    /// What was read, unless anything was wrong with it; what was not read is not looked at.
    pub(super) fn finish_part<T>(self, part: Option<T>) -> Result<T, ConfigErrors> {
        match part {
            Some(part) if self.errors.is_empty() => Ok(part),
            Some(_) | None => Err(ConfigErrors(self.errors)),
        }
    }

    /// The whole configuration, unless anything was wrong with it or the file has more.
    pub(super) fn finish<T>(mut self, whole: Option<T>) -> Result<T, ConfigErrors> {
        let unknown: Vec<(String, Origin)> = self
            .sources
            .file
            .iter()
            .flat_map(ConfigFile::keys)
            .filter(|(key, _)| !self.read.contains(key))
            .map(|(key, origin)| (key.to_owned(), origin))
            .collect();
        for (key, origin) in unknown {
            self.wrong(&key, "there is no such setting".to_owned(), origin);
        }
        self.finish_part(whole)
    }

    fn parsed<T>(
        &mut self,
        setting: &Setting,
        value: &str,
        origin: &Origin,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<T> {
        match parse(value) {
            Ok(parsed) => Some(parsed),
            Err(detail) => {
                let detail = if setting.secret {
                    detail
                } else {
                    format!("\"{value}\" {detail}")
                };
                self.wrong(setting.key, detail, origin.clone());
                None
            }
        }
    }

    /// What is given for a setting, by the source that counts; `None` = wrong.
    #[expect(
        clippy::option_option,
        reason = "wrong, missing and given are three things"
    )]
    fn raw(&mut self, setting: &Setting) -> Option<Option<Raw>> {
        self.read.insert(setting.key);
        let split = |text: &str| -> Vec<String> {
            if setting.list {
                let items = text.split(',').map(str::trim);
                let items = items.filter(|item| !item.is_empty());
                items.map(str::to_owned).collect()
            } else {
                vec![text.to_owned()]
            }
        };
        let found = |text: &str, origin| {
            Some(Some(Raw {
                values: split(text),
                origin,
            }))
        };
        if let Some(text) = self.sources.fixed.get(setting.key) {
            return found(text, Origin::Command);
        }
        let variable = setting.variable();
        if let Some(text) = self.sources.environment.get(&variable)
            && !text.is_empty()
        {
            return found(text, Origin::Variable(variable));
        }
        let in_file = self.sources.file.as_ref();
        match in_file.and_then(|file| file.get(setting.key)) {
            Some((FileValue::Single(text), origin)) => return found(text, origin),
            Some((FileValue::List(items), origin)) => {
                let values = items.clone();
                return Some(Some(Raw { values, origin }));
            }
            Some((FileValue::Other, origin)) => {
                self.wrong(setting.key, format!("must be {}", setting.form), origin);
                return None;
            }
            None => {}
        }
        match (setting.default, self.profile) {
            (Default::Required | Default::Missing(_), _) => Some(None),
            (Default::Value(text), _)
            | (
                Default::ByProfile {
                    production: text, ..
                },
                Profile::Production,
            )
            | (
                Default::ByProfile {
                    development: text, ..
                },
                Profile::Development,
            ) => found(text, Origin::Default),
        }
    }

    fn wrong(&mut self, setting: &str, detail: String, origin: Origin) {
        self.errors.push(ConfigError {
            setting: setting.to_owned(),
            detail,
            origin,
        });
    }
}

/// Whether a demo writes this variable.
fn is_of_demo(variable: &str) -> bool {
    let of_user = |user: &&str| {
        let what = variable.strip_prefix(*user);
        what.is_some_and(|what| OF_DEMO_USER.contains(&what))
    };
    DEMO_VARIABLES.contains(&variable) || DEMO_USERS.iter().any(of_user)
}

/// Names the file itself, on the command line's behalf.
const CONFIG_VARIABLE: &str = "BURSAR_CONFIG";
