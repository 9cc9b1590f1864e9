//! The documents that list every setting, made from the settings themselves.

use std::{fmt::Write, path::PathBuf};

use super::setting::{ALL, Default, Setting};

const PREAMBLE: &str = "\
# Configuration

<!-- Made from crates/server/src/config/setting.rs. After a change there:
     BURSAR_WRITE_DOCS=1 cargo test -p bursar-server documents -->

Every setting can be given in the environment or in a TOML file (`--config FILE` or
`BURSAR_CONFIG`); the environment wins.
An empty variable counts as not given.
A setting that takes several values is a list in the file, and a text with commas in the
environment.

What is wrong is told at start, all of it at once, with the setting's name, what is wrong and where
it came from; Bursar then does not start.
A key in the file that is no setting is wrong too; an unknown variable is only logged, because
orchestrators set variables of their own.
So is a setting that says how to do what no other setting asks for: `jwt.leeway_seconds` where no JWTs
are accepted, `payout.timeout_ms` without a gateway.

[bursar.example.toml](bursar.example.toml) is a file with every setting.
`bursar demo` takes the same settings from the environment, except for the database, the keys, the
profile and the root asset, which are its own.
";

const EXAMPLE_PREAMBLE: &str = "\
# Every setting of Bursar. Those that have a default are commented out and show it where it is one
# value; docs/CONFIGURATION.md says more. The environment variable behind each wins over the file.
";

/// How the lines begin of settings that exclude another one: keys of several tables are alike.
const ALTERNATIVES: [&str; 2] = ["jwks_file = ", "secret = \"REPLACE_WITH_AT_LEAST_32"];

fn markdown() -> String {
    let mut text = PREAMBLE.to_owned();
    for setting in ALL {
        let default = match setting.default {
            Default::Required => "none: it must be given".to_owned(),
            Default::Missing(meaning) => meaning.to_owned(),
            Default::Value(value) => format!("`{value}`"),
            Default::ByProfile {
                production,
                development,
            } => format!(
                "{} in production, {} in development",
                shown(production),
                shown(development)
            ),
        };
        write!(
            text,
            "\n## `{}`\n\n{}\n\n- Variable: `{}`\n- Value: {}\n- Default: {default}\n",
            setting.key,
            setting.help,
            setting.variable(),
            setting.form,
        )
        .unwrap();
    }
    text
}

fn shown(value: &str) -> String {
    if value.is_empty() {
        "none".to_owned()
    } else {
        format!("`{value}`")
    }
}

fn example() -> String {
    let mut text = EXAMPLE_PREAMBLE.to_owned();
    let mut table = "";
    for setting in ALL {
        let (prefix, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if prefix != table {
            write!(text, "\n[{prefix}]\n").unwrap();
            table = prefix;
        }
        let comment = if setting.default == Default::Required {
            ""
        } else {
            "# "
        };
        write!(
            text,
            "\n# {} ({})\n{comment}{name} = {}\n",
            setting.form.replace('`', ""),
            setting.variable(),
            toml_value(setting),
        )
        .unwrap();
    }
    text
}

fn toml_value(setting: &Setting) -> String {
    let example = setting.example;
    if setting.list {
        format!("[\"{example}\"]")
    } else if example.parse::<u64>().is_ok() || example.parse::<bool>().is_ok() {
        example.to_owned()
    } else {
        format!("\"{example}\"")
    }
}

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name)
}

#[test]
fn the_documents_tell_every_setting() {
    for (name, text) in [
        ("CONFIGURATION.md", markdown()),
        ("bursar.example.toml", example()),
    ] {
        if std::env::var_os("BURSAR_WRITE_DOCS").is_some() {
            std::fs::write(docs(name), &text).unwrap();
        }
        let written = std::fs::read_to_string(docs(name)).unwrap();
        assert_eq!(
            written, text,
            "docs/{name} is not what the settings say: BURSAR_WRITE_DOCS=1 writes it anew"
        );
    }
}

#[test]
fn the_example_is_a_configuration_with_and_without_its_comments() {
    // Of what cannot be given together, one is enough.
    let uncommented = example()
        .lines()
        .filter(|line| {
            !ALTERNATIVES
                .iter()
                .any(|start| line.starts_with(&format!("# {start}")))
        })
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest
                    .split_once(" = ")
                    .is_some_and(|(key, _)| !key.contains(' ')) =>
            {
                rest
            }
            Some(_) | None => line,
        })
        .fold(String::new(), |text, line| text + line + "\n");
    // The example has no keys of its own: somebody would use them.
    let errors = super::tests::load_file(&example()).unwrap_err();
    let wrong: Vec<&str> = errors
        .0
        .iter()
        .map(|error| error.setting.as_str())
        .collect();
    assert_eq!(wrong, ["master_key", "code_key"]);
    let with_keys = |text: &str| {
        let secret = format!("{}=", "A".repeat(43));
        text.replace("REPLACE_WITH_64_HEX_DIGITS", &"5a".repeat(32))
            .replace("REPLACE_WITH_BASE64_OF_32_RANDOM_BYTES", &secret)
    };
    for text in [
        example(),
        uncommented.replace("\"production\"", "\"development\""),
    ] {
        super::tests::load_file(&with_keys(&text)).unwrap();
    }
}
