//! Where a running Bursar is, and credentials for it.

use std::collections::BTreeMap;

use crate::clause::Need;

/// What a deployment must name, as `demo.env` does.
const NAMES: [&str; 4] = [
    "BURSAR_URL",
    "BURSAR_ADMIN_TOKEN",
    "BURSAR_BACKOFFICE_TOKEN",
    "BURSAR_READONLY_TOKEN",
];
/// Says `no` where the deployment does not reach this machine.
const CALLBACKS: &str = "BURSAR_CONFORMANCE_CALLBACKS";

/// A running Bursar by the variables of `demo.env`.
#[derive(Clone, Debug)]
pub struct Deployment(BTreeMap<String, String>);

impl Deployment {
    /// The one that the environment names.
    ///
    /// # Errors
    /// The first variable that is missing.
    pub fn from_environment() -> Result<Self, &'static str> {
        let found: BTreeMap<_, _> = std::env::vars()
            .filter(|(name, _)| name.starts_with("BURSAR_"))
            .collect();
        let missing = NAMES.into_iter().find(|name| !found.contains_key(*name));
        missing.map_or(Ok(Self(found)), Err)
    }

    /// The one that the text of a `demo.env` names.
    ///
    /// # Errors
    /// The first variable that is missing.
    pub fn from_env_file(text: &str) -> Result<Self, &'static str> {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let found: BTreeMap<_, _> = pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let missing = NAMES.into_iter().find(|name| !found.contains_key(*name));
        missing.map_or(Ok(Self(found)), Err)
    }

    /// Whether the environment names one.
    #[must_use]
    pub fn is_given() -> bool {
        std::env::var_os("BURSAR_URL").is_some_and(|url| !url.is_empty())
    }

    /// Whether it has what some clauses need. The demo that a suite starts for itself has all;
    /// of any other the environment tells.
    pub(crate) fn has(need: Need) -> bool {
        let given = |name: &str| std::env::var(name).unwrap_or_default();
        !Self::is_given()
            || match need {
                Need::Callbacks => given(CALLBACKS) != "no",
                Need::Jwt => !given("BURSAR_JWT_SECRET").is_empty(),
            }
    }

    /// The address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        self.value("URL").trim_end_matches('/')
    }

    /// A variable by its name without the prefix.
    pub(crate) fn value(&self, name: &str) -> &str {
        let value = self.0.get(&format!("BURSAR_{name}"));
        value.unwrap_or_else(|| panic!("BURSAR_{name} is not set"))
    }
}
